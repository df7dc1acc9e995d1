"""Names of constraints and fields in what databases say, with values beside them that try to look like names."""

from __future__ import annotations

import django.db
import pytest
from django.contrib.postgres.constraints import ExclusionConstraint
from django.db import models
from django.db.models import F, Q
from django.test.utils import isolate_apps

from django_enterprise_repo.resilience.constraints import Violation, describe, violation
from tests.testapp.models import AliasedAccount, Booking, Car, Item, Seat, Tag

Driver = type("IntegrityError", (type("Error", (Exception,), {}),), {})


def postgres(detail=None, **told):
    error = Driver("text")
    names = {"column_name": None, "constraint_name": None, "table_name": None, **told}
    error.diag = type("Diagnostic", (), {**names, "message_detail": detail})()
    return error


def sqlite(text):
    error = Driver(text)
    error.sqlite_errorname = "SQLITE_CONSTRAINT"
    return error


@pytest.mark.parametrize(
    ("detail", "columns"),
    [
        ("Key (sku)=(x) already exists.", ("sku",)),
        ("Schlüssel »(sku)=(x)« existiert bereits.", ("sku",)),
        ('Key ("row", number)=(a, 1) already exists.', ("row", "number")),
        ("Key (sku)=(a)=(b), (name)=(c)) already exists.", ("sku",)),
        ("Key (lower(room::text), seats)=(a, 1) already exists.", ("lower(room::text)", "seats")),
        ("Failing row contains (1, sku)=(x).", ()),
        (None, ()),
    ],
)
def test_the_columns_of_a_detail(detail, columns):
    told = violation(postgres(detail, constraint_name="c", table_name="testapp_item"))

    assert (told.constraint, told.table) == ("c", "testapp_item")
    if columns:
        assert told.columns == columns
    else:
        assert describe(told, Item, "duplicate_key") == ("c", ())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("UNIQUE constraint failed: t.a", Violation(None, "t", ("a",))),
        ("UNIQUE constraint failed: t.a, t.b", Violation(None, "t", ("a", "b"))),
        ("UNIQUE constraint failed: index 'ix'", Violation("ix")),
        ("NOT NULL constraint failed: t.c", Violation(None, "t", ("c",))),
        ("CHECK constraint failed: positive", Violation("positive")),
        ('CHECK constraint failed: "rank" >= 0', Violation(None, None, ("rank",))),
        ("CHECK constraint failed: a > 'x'", Violation()),
        ("FOREIGN KEY constraint failed", Violation()),
    ],
)
def test_the_texts_of_sqlite(text, told):
    assert violation(sqlite(text)) == told


FOREIGN_KEY = "(`db`.`t`, CONSTRAINT `k_fk_x` FOREIGN KEY (`a`, `b`) REFERENCES `o` (`id`, `no`))"


@pytest.mark.parametrize(
    ("number", "text", "told"),
    [
        (1062, "Duplicate entry 'x' for key 'sku'", Violation("sku")),
        (1062, "Duplicate entry 'x' for key 't.sku'", Violation("sku", "t")),
        (1062, "Duplicate entry 'it's for key 'name'' for key 'sku'", Violation("sku")),
        (1062, "Duplicate entry 'a\nb' for key 'sku'", Violation("sku")),
        (1062, "Doppelter Eintrag 'x' für Schlüssel 'sku'", Violation("sku")),
        (1451, f"Cannot delete or update a parent row: {FOREIGN_KEY}", Violation("k_fk_x", "t", ("a", "b"))),
        (1452, f"Cannot add or update a child row: {FOREIGN_KEY}", Violation("k_fk_x", "t", ("a", "b"))),
        (4025, "CONSTRAINT `c` failed for `db`.`t`", Violation("c", "t")),
        (3819, "Check constraint 'c' is violated.", Violation("c")),
        (1048, "Column 'a' cannot be null", Violation(None, None, ("a",))),
        (1364, "Field 'a' doesn't have a default value", Violation(None, None, ("a",))),
        (1406, "Data too long for column 'a' at row 1", Violation(None, None, ("a",))),
        (1366, "Incorrect integer value: '`d`.`t`.`x`' for column `d`.`t`.`a` at row 1", Violation(None, "t", ("a",))),
        (1213, "Deadlock found when trying to get lock", Violation()),
        (1062, "", Violation()),
    ],
)
def test_the_texts_of_mysql(number, text, told):
    assert violation(Driver(number, text)) == told
    assert violation(Driver(number)) == Violation()


def test_an_error_without_any_of_it():
    assert violation(django.db.OperationalError("gone")) == Violation()
    assert violation(ValueError()) == Violation()


FOREIGN = "testapp_booking_etikett_0a1b2c3d_fk_testapp_tag_id"


@pytest.mark.parametrize(
    ("told", "model", "kind", "fields"),
    [
        (Violation("booking_seats_fit", "testapp_booking"), Booking, "check_violation", "seats rank"),
        (Violation("booking_room_any_case"), Booking, "duplicate_key", "room seats"),
        (Violation("booking_one_tag"), Tag, "duplicate_key", "testapp.Booking.seats testapp.Booking.tag"),
        (Violation("booking_one_tag"), None, "duplicate_key", "testapp.Booking.seats testapp.Booking.tag"),
        (Violation(None, "testapp_booking", ("etikett",)), Booking, "not_null", "tag"),
        (Violation("kode"), Booking, "duplicate_key", "code"),
        (Violation("kode"), Tag, "duplicate_key", ""),
        (Violation("testapp_booking_kode_0a1b2c3d_uniq"), Tag, "duplicate_key", "testapp.Booking.code"),
        (Violation("testapp_booking_raum_rank_0a1b2c3d_uniq"), Booking, "duplicate_key", "room rank"),
        (Violation("testapp_booking_kode_key"), Booking, "duplicate_key", "code"),
        (Violation("testapp_booking_kode_extra"), Booking, "duplicate_key", ""),
        (Violation("testapp_seat_pkey", "testapp_seat"), Seat, "duplicate_key", "row number"),
        (Violation("PRIMARY"), Seat, "duplicate_key", "row number"),
        (Violation("testapp_vehicle_wheels_check", "testapp_vehicle"), Car, "check_violation", "wheels"),
        (Violation(None, "testapp_account", ("name",)), AliasedAccount, "duplicate_key", "name"),
        # PostgreSQL tells the column at the other end when the row there goes; the name tells this one.
        (Violation(FOREIGN, "testapp_booking", ("id",)), Tag, "foreign_key", "testapp.Booking.tag"),
        (Violation("made_by_hand", "elsewhere", ("id",)), Tag, "foreign_key", ""),
        (Violation(None, None, ("no_column",)), Tag, "not_null", ""),
        (Violation(), Tag, "foreign_key", ""),
    ],
)
def test_from_names_to_fields(told, model, kind, fields):
    constraint, names = describe(told, model, kind)

    assert constraint == told.constraint
    assert sorted(names) == sorted(fields.split())


def test_columns_that_only_one_constraint_binds_tell_its_name():
    told = Violation(None, "testapp_booking", ("seats", "etikett"))

    assert describe(told, Booking, "duplicate_key") == ("booking_one_tag", ("seats", "tag"))
    assert describe(told, Booking, "not_null") == (None, ("seats", "tag"))


@isolate_apps("tests.testapp")
def test_an_exclusion_constraint():
    class Stay(models.Model):
        room = models.IntegerField()
        nights = models.IntegerField()

        class Meta:
            app_label = "testapp"
            constraints = [
                ExclusionConstraint(
                    name="stay_alone",
                    expressions=[("room", "="), (F("nights"), "&&")],
                    condition=Q(room__gt=0),
                )
            ]

    assert describe(Violation("stay_alone", "testapp_stay"), Stay, "duplicate_key") == (
        "stay_alone",
        ("room", "nights"),
    )
