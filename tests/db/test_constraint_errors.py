"""What a refused write tells: which constraint, which fields, and never a value, on every database."""

from __future__ import annotations

import copy
import pickle
from decimal import Decimal

import pytest
from django.db import DatabaseError, DataError, Error, IntegrityError, connection, transaction
from django.db.models import F

from django_enterprise_repo.exceptions import (
    CheckViolationError,
    DuplicateKeyError,
    ForeignKeyError,
    InvalidDataError,
    NotNullError,
    RepositoryDatabaseError,
)
from django_enterprise_repo.resilience.classification import classify
from django_enterprise_repo.resilience.translation import translate
from tests.testapp.models import Bare, Booking, Building, Car, Comment, Item, Seat, Tag, Tower

pytestmark = pytest.mark.django_db(transaction=True)

CANARY = "kanari"
NUMBER = 7_390_159


def refused(write, model) -> RepositoryDatabaseError:
    """The package's error for what ``write``, an operation on ``model``, raises in a transaction of its own.

    What no operation answers for, and with Django's own engine a COMMIT, is translated here.
    """
    with pytest.raises(Error) as caught, transaction.atomic():
        write()
    error = caught.value
    if not isinstance(error, RepositoryDatabaseError):
        error = translate(error, classify(error), model=model, alias="default")
    assert isinstance(error, RepositoryDatabaseError), f"not translated: {caught.value!r}"
    assert isinstance(error, type(caught.value)) or error is caught.value, "a handler of Django's type would miss it"
    assert error.model in (model._meta.label, None)
    assert (error.alias, error.fate, error.retryable) == ("default", "not_applied", False)
    for copied in (error, pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert vars(copied) == vars(error) and type(copied) is type(error) and copied.args == error.args
        for text in (str(copied), repr(copied), repr(vars(copied))):
            assert CANARY not in text.lower() and str(NUMBER) not in text
    return error


def quoted(name: str) -> str:
    """A canary around which a parser might stumble."""
    return f"{name}'a)=(b"[:20]


def test_a_unique_field():
    Item.objects.create(name="a", sku=quoted(CANARY))

    error = refused(lambda: Item.objects.create(name="b", sku=quoted(CANARY)), Item)

    assert isinstance(error, DuplicateKeyError)
    assert error.fields == ("sku",)


def test_a_unique_field_with_a_column_of_another_name():
    Booking.objects.create(code=CANARY, room="a")

    assert refused(lambda: Booking.objects.create(code=CANARY, room="b", rank=1), Booking).fields == ("code",)


def test_unique_together():
    Booking.objects.create(code="a", room=CANARY, rank=5, seats=1)

    error = refused(lambda: Booking.objects.create(code="b", room=CANARY, rank=5, seats=2), Booking)

    assert isinstance(error, DuplicateKeyError)
    assert error.fields == ("room", "rank")


def test_a_unique_constraint_over_fields_is_named_on_every_database():
    tag = Tag.objects.create(label="a")
    Booking.objects.create(code="a", room="a", rank=1, seats=3, tag=tag)

    error = refused(lambda: Booking.objects.create(code="b", room="b", rank=2, seats=3, tag=tag), Booking)

    assert (error.constraint, error.fields) == ("booking_one_tag", ("seats", "tag"))


def test_a_unique_constraint_over_expressions():
    if not connection.features.supports_expression_indexes:
        pytest.skip("This database has no unique indexes over expressions.")
    Booking.objects.create(code="a", room=CANARY, rank=1)

    error = refused(lambda: Booking.objects.create(code="b", room=CANARY.upper(), rank=2), Booking)

    assert (error.constraint, error.fields) == ("booking_room_any_case", ("room", "seats"))


def test_a_primary_key():
    first = Tag.objects.create(pk=NUMBER, label="a")

    error = refused(lambda: Tag(pk=first.pk, label="b").save(force_insert=True), Tag)

    assert isinstance(error, DuplicateKeyError)
    assert error.fields == ("id",)


def test_a_composite_primary_key():
    Seat.objects.create(row="kk", number=NUMBER)

    assert refused(lambda: Seat.objects.create(row="kk", number=NUMBER), Seat).fields == ("row", "number")


def test_the_row_of_a_parent():
    car = Car.objects.create(doors=5)

    def a_second_child():
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO testapp_car (vehicle_ptr_id, doors) VALUES (%s, 2)", [car.pk])

    assert refused(a_second_child, Car).fields == ("vehicle_ptr",)


def test_a_row_between_two_models():
    item, tag = Item.objects.create(name="a"), Tag.objects.create(label="a")
    item.tags.add(tag)
    through = Item.tags.through

    error = refused(lambda: through._default_manager.create(item_id=item.pk, tag_id=tag.pk), Item)

    assert isinstance(error, DuplicateKeyError)
    assert error.fields == ("testapp.Item_tags.item", "testapp.Item_tags.tag")


def test_a_named_check_constraint():
    error = refused(lambda: Booking.objects.create(code=CANARY, room="a", seats=NUMBER), Booking)

    assert isinstance(error, CheckViolationError)
    assert error.constraint == "booking_seats_fit"
    assert set(error.fields) == {"seats", "rank"}


def test_the_check_of_a_positive_field(vendor):
    error = refused(lambda: Booking.objects.create(code=CANARY, room="a", rank=-NUMBER, seats=-NUMBER), Booking)

    if vendor == "mariadb":  # an unsigned column, which has no check
        assert isinstance(error, InvalidDataError)
    else:
        assert isinstance(error, CheckViolationError)
    assert error.fields == ("rank",)


def test_a_missing_value():
    error = refused(lambda: Item.objects.create(name=None, sku=CANARY), Item)

    assert isinstance(error, NotNullError)
    assert error.fields == ("name",)


def test_a_missing_value_of_a_parent():
    assert refused(lambda: Tower.objects.create(address=None), Tower).fields == ("address",)
    assert refused(lambda: Building.objects.create(address=None), Building).fields == ("address",)


def test_a_row_that_does_not_exist(vendor):
    error = refused(lambda: Booking.objects.create(code=CANARY, room="a", tag_id=NUMBER), Booking)

    assert isinstance(error, ForeignKeyError)
    if vendor == "sqlite":  # it tells that there is one
        assert (error.constraint, error.fields) == (None, ())
    else:
        assert "fk" in error.constraint
        assert error.fields == (("testapp.Booking.tag",) if vendor == "postgres" else ("tag",))  # deferred to COMMIT


def test_a_row_that_is_still_referred_to(vendor):
    tag = Tag.objects.create(pk=NUMBER, label="a")
    Booking.objects.create(code=CANARY, room="a", tag=tag)

    error = refused(lambda: Tag.objects.filter(pk=tag.pk)._raw_delete("default"), Tag)

    assert isinstance(error, ForeignKeyError)
    assert error.fields == (() if vendor == "sqlite" else ("testapp.Booking.tag",))


def test_the_check_that_django_makes_by_itself(vendor):
    """Without transactions to defer to, Django reads the rows, and quotes them."""
    if vendor == "postgres":
        pytest.skip("PostgreSQL checks by itself.")

    def unchecked():
        with connection.constraint_checks_disabled():
            Booking.objects.create(code=CANARY, room="a", tag_id=NUMBER)
            connection.check_constraints(["testapp_booking"])

    error = refused(unchecked, Booking)

    assert isinstance(error, ForeignKeyError)
    assert error.fields == ("tag",)


def test_a_text_that_is_too_long(vendor):
    if vendor == "sqlite":
        pytest.skip("SQLite columns have no length.")
    error = refused(lambda: Booking.objects.create(code=CANARY * 9, room="a"), Booking)

    assert isinstance(error, InvalidDataError)
    assert isinstance(error, DataError)
    assert error.fields == (("code",) if vendor == "mariadb" else ())  # PostgreSQL does not tell


def test_a_number_out_of_range(vendor):
    if vendor == "sqlite":
        pytest.skip("SQLite integers have 64 bits in every column.")
    error = refused(lambda: Bare.objects.create(name=CANARY, size=NUMBER * 10**6), Bare)

    assert isinstance(error, InvalidDataError)
    assert error.fields == (("size",) if vendor == "mariadb" else ())


def test_a_decimal_out_of_range(vendor):
    if vendor == "sqlite":
        pytest.skip("SQLite decimals are numbers of any size.")
    Item.objects.create(name="a", price=Decimal(1))

    error = refused(lambda: Item.objects.update_all({"name": "a"}, price=F("price") * NUMBER), Item)

    assert isinstance(error, InvalidDataError)


def test_a_text_that_is_no_number(vendor):
    if vendor == "sqlite":
        pytest.skip("SQLite takes any text for a number.")

    def write():
        with connection.cursor() as cursor:
            cursor.execute("UPDATE testapp_bare SET size = %s", [CANARY])

    Bare.objects.create(name="a")
    error = refused(write, Bare)

    assert isinstance(error, InvalidDataError)
    assert error.fields == (("size",) if vendor == "mariadb" else ())


def test_what_is_wrong_at_the_end_of_a_transaction(vendor):
    """Deferred constraints fail at COMMIT, which the server refuses and reports: known not to be applied."""
    if vendor == "mariadb":
        pytest.skip("MariaDB has no deferred constraints.")
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        Comment.objects.create(text=CANARY, author_id=NUMBER)

    verdict = classify(caught.value, "commit")

    assert (verdict.kind, verdict.vote, verdict.fate, verdict.drop) == ("foreign_key", "success", "not_applied", False)
    assert isinstance(translate(caught.value, verdict, model=Comment, alias=None), ForeignKeyError)
    assert not Comment.objects.exists()


def test_a_mistake_stays_what_it_is():
    with pytest.raises(DatabaseError) as caught, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT nothing FROM nowhere")

    verdict = classify(caught.value)

    assert (verdict.kind, verdict.vote, verdict.transient, verdict.drop) == ("caller", "void", False, False)
    assert translate(caught.value, verdict, model=Bare, alias="default") is caught.value
