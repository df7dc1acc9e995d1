"""update_all, delete_all, restore_all, add_all, and Django's own set writes on a repository."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.db import IntegrityError, NotSupportedError, connection, transaction
from django.db.models import F, ProtectedError, Q

from django_enterprise_repo import operation_context
from django_enterprise_repo.exceptions import EmptyPredicate, InvalidArgument, InvalidArgumentType, InvalidFilter
from django_enterprise_repo.testing import assert_max_queries, assert_queries
from tests.testapp.models import Audited, Author, Bare, Book, Car, Category, Item, Plain

pytestmark = pytest.mark.django_db


@pytest.fixture
def user():
    return get_user_model().objects.create(username="ada")


@pytest.fixture
def items():
    return Item.objects.add_all([Item(name=f"item {n}", stock=n) for n in range(6)])


def test_add_all_inserts_every_entity_and_answers_them(items):
    assert all(item.pk is not None and not item._state.adding for item in items)
    assert Item.objects.count() == 6


def test_add_all_takes_any_iterable_and_an_empty_one():
    assert len(Item.objects.add_all(Item(name=str(n)) for n in range(3))) == 3
    with assert_queries(0):
        assert Item.objects.add_all([]) == []


def test_add_all_respects_the_batch_size():
    with assert_queries(5) as sent:  # savepoint, three batches, release
        Bare.objects.add_all([Bare(name=str(n)) for n in range(5)], batch_size=2)
    assert sum("INSERT" in query["sql"] for query in sent) == 3


def test_a_refused_add_all_leaves_no_row_behind_and_the_entities_as_they_were():
    entities = [Bare(name="a"), Bare(name="b"), Bare(name="a")]

    with pytest.raises(IntegrityError):
        Bare.objects.add_all(entities, batch_size=1)

    assert Bare.objects.count() == 0
    assert all(entity.pk is None and entity._state.adding for entity in entities)


@pytest.mark.parametrize(
    ("entities", "options", "error"),
    [
        ([None], {}, InvalidArgumentType),
        ([Category(name="c")], {}, InvalidArgumentType),
        (Item(name="alone"), {}, InvalidArgumentType),
        ("text", {}, InvalidArgumentType),
        ([Item(name="a")], {"batch_size": 0}, InvalidArgument),
        ([Item(name="a")], {"batch_size": -1}, InvalidArgument),
        ([Item(name="a")], {"batch_size": True}, InvalidArgumentType),
        ([Item(name="a")], {"batch_size": "5"}, InvalidArgumentType),
    ],
)
def test_add_all_refuses_nonsense_before_any_sql(entities, options, error):
    with assert_queries(0), pytest.raises(error):
        Item.objects.add_all(entities, **options)


def test_add_all_refuses_the_same_object_twice():
    item = Item(name="a")
    with assert_queries(0), pytest.raises(InvalidArgument, match="twice"):
        Item.objects.add_all([item, item])


def test_add_all_saves_inherited_tables_one_by_one():
    cars = Car.objects.add_all([Car(doors=2), Car(doors=4)])
    assert [Car.objects.get(car.pk).doors for car in cars] == [2, 4]


def test_update_all_is_one_statement(items):
    with assert_queries(1):
        assert Item.objects.update_all({"stock": {"gte": 4}}, price="7") == 2
    assert Item.objects.count({"price": 7}) == 2


def test_update_all_moves_versions_and_auto_now_on(items):
    before = Item.objects.get(items[0].pk)

    Item.objects.update_all({"stock": 0}, stock=F("stock") + 9)

    after = Item.objects.get(items[0].pk)
    assert (after.stock, after.version) == (9, 2)
    assert after.updated_at > before.updated_at


def test_update_all_takes_the_changes_as_a_mapping(items):
    assert Item.objects.update_all({"stock": 1}, {"name": "one"}) == 1


@pytest.mark.parametrize("verb", ["update_all", "delete_all", "restore_all"])
@pytest.mark.parametrize("filters", [None, {}, {"stock": {"not_in": []}}, {"not": {"stock": {"in": []}}}])
def test_an_empty_predicate_is_refused(items, verb, filters):
    changes = {"stock": 1} if verb == "update_all" else {}
    with assert_queries(0), pytest.raises(EmptyPredicate, match="everything=True"):
        getattr(Item.objects, verb)(filters, **changes)
    with assert_queries(0), pytest.raises(EmptyPredicate):
        getattr(Item.objects.all(), verb)(filters, **changes)


def test_an_empty_q_is_an_empty_predicate(items):
    for rows in (Item.objects.filter(), Item.objects.filter(Q()), Item.objects.exclude(pk__in=[]), Item.objects.all()):
        with pytest.raises(EmptyPredicate):
            rows.delete_all()


def test_a_predicate_that_matches_nothing_is_no_empty_predicate(items):
    assert Item.objects.delete_all({"stock": {"in": []}}) == 0
    assert Item.objects.none().delete_all() == 0
    assert Item.objects.count() == 6


def test_everything_must_be_said(items):
    assert Item.objects.update_all(everything=True, stock=1) == 6
    assert Item.objects.delete_all(everything=True) == 6
    assert Item.objects.restore_all(everything=True) == 6


def test_a_filtered_queryset_is_a_predicate(items):
    assert Item.objects.filter(stock__gt=3).delete_all() == 2
    assert Item.objects.only_deleted().filter(stock=4).restore_all() == 1
    assert Item.objects.count() == 5


def test_delete_all_marks_every_row_with_one_operation(items, user):
    with assert_queries(1):
        assert Item.objects.delete_all({"stock": {"gt": 2}}, user=user) == 3

    deleted = Item.objects.only_deleted().list()
    assert len({row.deletion_id for row in deleted}) == 1
    assert {row.deleted_by_id for row in deleted} == {user.pk}
    assert len({row.deleted_at for row in deleted}) == 1


def test_delete_all_leaves_earlier_deletions_alone(items):
    Item.objects.delete(items[0])
    first = Item.all_objects.get(pk=items[0].pk).deletion_id

    assert Item.objects.delete_all({"stock": {"lte": 1}}) == 1
    assert Item.all_objects.get(pk=items[0].pk).deletion_id == first


def test_delete_all_hard(items):
    assert Item.objects.delete_all({"stock": {"gt": 2}}, hard=True) == 3
    assert Item.all_objects.count() == 3


def test_delete_all_of_protected_rows_deletes_none():
    authors = Author.objects.add_all([Author(name="ann"), Author(name="bob")])
    Book.objects.add(Book(title="b", author=authors[1]))

    with pytest.raises(ProtectedError):
        Author.objects.delete_all({"name": {"in": ["ann", "bob"]}})
    assert Author.objects.count() == 2


def test_queryset_delete_is_soft_and_answers_djangos_pair(items):
    result = Item.objects.filter(stock__lt=2).delete()

    assert result == (2, {"testapp.Item": 2})
    assert result.operation_id is not None
    assert Item.all_objects.count() == 6
    assert Item.all_objects.filter(stock=3).delete() == (1, {"testapp.Item": 1})
    assert Item.all_objects.count() == 6


def test_queryset_writes_keep_djangos_refusals(items):
    with pytest.raises(TypeError, match="slice"):
        Item.objects.all()[:2].update(stock=1)
    with pytest.raises(TypeError, match="limit"):
        Item.objects.all()[:2].delete()
    with pytest.raises(TypeError, match="values"):
        Item.objects.values("name").delete()
    with pytest.raises(NotSupportedError):
        Item.objects.filter(stock=1).union(Item.objects.filter(stock=2)).delete()


def test_a_plain_model_with_a_marker_is_covered_by_its_manager():
    Plain.objects.add_all([Plain(name="a"), Plain(name="b")])

    assert Plain.objects.filter(name="a").delete() == (1, {"testapp.Plain": 1})
    assert Plain.objects.with_deleted().count() == 2


@pytest.mark.parametrize(
    "call",
    [
        lambda: Item.objects.update_all({"stock": 1}),
        lambda: Item.objects.update_all({"stock": 1}, nope=3),
        lambda: Item.objects.update_all({"nope": 1}, stock=3),
        lambda: Item.objects.delete_all({"password": 1}),
        lambda: Item.objects.update_all({"stock": 1}, {"stock": 3}, stock=4),
    ],
)
def test_bad_arguments_are_refused_before_any_sql(call):
    with assert_queries(0), pytest.raises((InvalidArgument, InvalidFilter)):
        call()


# Models with a history: nothing is ever unaudited.


def history(**conditions):
    return list(Audited.history.filter(**conditions).order_by("history_id").values_list("history_type", "name", "size"))


def test_every_set_write_of_a_model_with_history_is_recorded(user):
    rows = Audited.objects.add_all([Audited(name="a"), Audited(name="b")], user=user, reason="import")
    Audited.objects.update_all({"name": "a"}, size=F("size") + 5, user=user)
    Audited.objects.filter(name="b").update(size=F("size") + 7)
    Audited.objects.bulk_create([Audited(name="c")])
    c = Audited.objects.get_by(name="c")
    c.size = 1
    Audited.objects.bulk_update([c], ["size"])
    Audited.objects.delete_all({"name": "a"}, user=user)
    Audited.objects.restore_all({"name": "a"})
    Audited.objects.filter(name="c").delete()
    Audited.objects.delete_all({"name": "b"}, hard=True)

    assert history() == [
        ("+", "a", 0),
        ("+", "b", 0),
        ("~", "a", 5),
        ("~", "b", 7),
        ("+", "c", 0),
        ("~", "c", 1),
        ("~", "a", 5),
        ("~", "a", 5),
        ("~", "c", 1),
        ("-", "b", 7),
    ]
    assert Audited.history.filter(history_type="+", history_user=user, history_change_reason="import").count() == 2
    assert not any(hasattr(row, "_history_user") for row in rows)


def test_a_history_that_fails_takes_the_data_with_it(monkeypatch):
    from simple_history.signals import pre_create_historical_record

    audited = Audited.objects.add(Audited(name="a"))

    def explode(**kwargs):
        raise RuntimeError("no history today")

    pre_create_historical_record.connect(explode)
    try:
        for write in (
            lambda: Audited.objects.update(audited, size=1),
            lambda: Audited.objects.update_all({"name": "a"}, size=1),
            lambda: Audited.objects.delete_all({"name": "a"}),
            lambda: audited.delete(),
            lambda: audited.save(),
        ):
            with pytest.raises(RuntimeError):
                write()
            assert Audited.objects.get(audited.pk).size == 0
            assert audited.version == 1
    finally:
        pre_create_historical_record.disconnect(explode)


def test_conflict_options_that_would_skip_the_history_are_refused():
    with pytest.raises(NotSupportedError, match="history"):
        Audited.objects.bulk_create([Audited(name="a")], ignore_conflicts=True)
    with pytest.raises(NotSupportedError, match="version"):
        Item.objects.bulk_create([Item(name="a")], update_conflicts=True, update_fields=["name"], unique_fields=["sku"])


def test_the_ambient_context_attributes_too(user):
    with operation_context(user=user, reason="night shift"):
        row = Audited(name="a")
        row.save()
        row.delete()

    assert row.deleted_by_id == user.pk
    assert list(row.history.values_list("history_user", "history_change_reason")) == [(user.pk, "night shift")] * 2


def test_row_by_row_statements_grow_with_the_rows_and_no_faster():
    Audited.objects.add_all([Audited(name=str(n)) for n in range(10)])
    with assert_max_queries(2 * 10 + 6):
        Audited.objects.update_all({"size": 0}, size=1)


# Transactions.


def test_an_outer_transaction_stays_usable_after_a_refused_bulk_verb():
    Bare.objects.add(Bare(name="taken"))
    with transaction.atomic():
        with pytest.raises(IntegrityError):
            Bare.objects.add_all([Bare(name="new"), Bare(name="taken")])
        Bare.objects.add(Bare(name="after"))
    assert set(Bare.objects.values_list("name", flat=True)) == {"taken", "after"}


def test_without_a_savepoint_an_outer_transaction_can_only_be_rolled_back():
    with transaction.atomic():
        with assert_queries(1):
            Bare.objects.add_all([Bare(name="new")], savepoint=False)
        with pytest.raises(IntegrityError):
            Bare.objects.add_all([Bare(name="new")], savepoint=False)
        assert connection.needs_rollback
        connection.set_rollback(True)
