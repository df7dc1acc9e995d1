"""A row from cached bytes is the row that the database gives, whatever the engine makes of its columns."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from django.db import connection, connections
from django.test import override_settings

from django_enterprise_repo.caching.codec import Unencodable, row_codec, unsupported_fields
from tests.db.caching.reading import assert_cached_as_read, read
from tests.testapp.columns import Columns, Label, NumberColumns, Stamp
from tests.testapp.models import AuditedSeat, Contract, Entry, Houseboat

pytestmark = pytest.mark.django_db

TOKEN = UUID("12345678-1234-5678-1234-567812345678")
FULL = {
    "big": -(2**63),
    "flag": True,
    "price": Decimal("123456789.567800"),  # SQLite keeps fifteen digits
    "ratio": 0.1,
    "number": -7,
    "positive_big": 2**63 - 1,
    "positive": 0,
    "positive_small": 1,
    "small": -32768,
    "binary": b"\0\xff bytes",
    "name": "Łódź 🛳",
    "email": "a@example.com",
    "attachment": "files/a.txt",
    "path": "/etc/hosts",
    "address": "2001:db8::1",
    "picture": "pictures/a.png",
    "slug": "a-slug",
    "text": "two\nlines",
    "url": "https://example.com/",
    "day": date(2026, 2, 28),
    "at": datetime(2026, 11, 1, 6, 30, 0, 123456, tzinfo=UTC),
    "length": timedelta(days=3, microseconds=1),
    "hour": time(23, 59, 59, 999999),
    "document": {"a": [1, 2.5, None, True, "text", {"b": []}], "big": 2**70},
    "token": TOKEN,
}
#: Values that engines or drivers treat in their own way, each a row.
AWKWARD = [
    {},
    {"flag": False, "number": 0, "price": Decimal(0), "ratio": 0.0, "name": "", "text": "", "binary": b""},
    {"ratio": -1e300, "price": Decimal("-0.000001"), "positive_big": 0, "big": 2**63 - 1, "small": 32767},
    {"ratio": 5e-324},
    {"length": -timedelta(days=400, seconds=1, microseconds=7)},
    {"length": timedelta(0)},
    {"at": datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), "day": date(1, 1, 1), "hour": time(0)},
    {"at": datetime(9999, 12, 30, tzinfo=UTC), "day": date(9999, 12, 31)},
    {"at": datetime(2026, 11, 1, 5, 30, tzinfo=UTC)},  # half past one in New York, and an hour later again
    {"at": datetime(2026, 11, 1, 6, 30, tzinfo=UTC)},
    {"address": "127.0.0.1"},
    {"address": "::ffff:10.0.0.1"},
    {"name": "1", "text": "5.0", "slug": "007"},
    *(
        {"document": document}
        for document in ([], {}, "", "text", 0, -1.5, True, False, 1e300, -(2**70), {"": {"": ""}})
    ),
]


def add(**values):
    return Columns.objects.create(**values).pk


@pytest.fixture(params=["UTC", "America/New_York", "naive", "ZoneInfo of UTC"])
def zone(request):
    """Connections that read times in a zone of their own, or without one."""
    if request.param == "naive":
        with override_settings(USE_TZ=False):
            yield None
        return
    name = {"UTC": None, "ZoneInfo of UTC": "UTC"}.get(request.param, request.param)
    in_zone(name)
    yield zoneinfo.ZoneInfo(name) if name else UTC
    in_zone(None)


def in_zone(name):
    wrapper = connections[connection.alias]
    wrapper.settings_dict["TIME_ZONE"] = name
    for cached in ("timezone", "timezone_name"):
        vars(wrapper).pop(cached, None)
    wrapper.ensure_timezone()


def test_a_row_with_a_value_in_every_column(zone):
    assert unsupported_fields(Columns) == []
    naive = {"at": FULL["at"].replace(tzinfo=None)} if zone is None else {}
    pk = add(
        **{**FULL, **naive},
        label=Label.objects.create(code="a label"),
        stamp=Stamp.objects.create(id=TOKEN),
        neighbour=NumberColumns.objects.create(),
    )

    plain = assert_cached_as_read(Columns, pk)

    assert plain.at.tzinfo is zone
    assert plain.twice == -14
    assert (plain.label_id, plain.stamp_id) == ("a label", TOKEN)
    assert None not in {value for name, value in vars(plain).items() if name not in {"document", "_state"}}
    assert_cached_as_read(NumberColumns, pk)


@pytest.mark.parametrize("values", AWKWARD, ids=str)
def test_awkward_values(values, zone):
    if zone is None and "at" in values:
        values = {**values, "at": values["at"].replace(tzinfo=None)}

    assert_cached_as_read(Columns, add(**values))


def test_the_engine_read_what_was_written():
    """Else the tests above would compare nulls."""
    plain, _ = read(Columns, add(**FULL))

    assert {name: getattr(plain, name) for name in FULL} == FULL


def test_rows_of_other_shapes():
    AuditedSeat.objects.create(row="A", number=7, price=3)
    for instance in (
        AuditedSeat.objects.get(),
        Contract.objects.create(title="a", party="b"),
        Entry.objects.create(text="a", amount=4),
        Houseboat.objects.create(address="a", sails=2, rooms=3),
    ):
        assert_cached_as_read(type(instance), instance.pk)


def test_what_json_says_and_no_cache_can_hold_is_not_cached(vendor):
    if vendor != "sqlite":
        pytest.skip("Only SQLite keeps half a surrogate pair.")
    _, values = read(Columns, add(document={"a": "\ud800"}))

    with pytest.raises(Unencodable, match=r"testapp\.Columns\.document has a value of type dict"):
        row_codec(Columns).encode(values)


def test_a_value_of_a_type_that_only_sqlite_lets_in_is_not_cached(vendor):
    if vendor != "sqlite":
        pytest.skip("Other engines refuse it.")
    pk = add(number=1)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE testapp_numbercolumns SET number = 'many' WHERE id = %s", [pk])
    _, values = read(Columns, pk)

    with pytest.raises(Unencodable, match=r"testapp\.Columns\.number has a value of type str"):
        row_codec(Columns).encode(values)
