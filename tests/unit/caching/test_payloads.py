"""What is no row of this model is never taken for one."""

from __future__ import annotations

import pickle
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from django.contrib.postgres import fields as postgres
from django.db import models
from django.test.utils import isolate_apps
from hypothesis import example, given
from hypothesis import strategies as st

from django_enterprise_repo.caching.codec import RowCodec, Undecodable
from tests.unit.caching.bombs import Bomb
from tests.unit.caching.rows import MODELS, codec_with

FIELDS = {
    "binary": models.BinaryField,
    "boolean": models.BooleanField,
    "at": models.DateTimeField,
    "day": models.DateField,
    "amount": models.DecimalField,
    "length": models.DurationField,
    "document": models.JSONField,
    "hour": models.TimeField,
    "uuid": models.UUIDField,
    "days": postgres.DateRangeField,
    "many": lambda: postgres.ArrayField(models.FloatField()),
    "pairs": postgres.HStoreField,
}
CODEC = codec_with(**{name: make() for name, make in FIELDS.items()})
ROW = (
    1,
    memoryview(b"bytes"),
    True,
    datetime(2026, 1, 1, tzinfo=UTC),
    date(2026, 1, 1),
    Decimal("1.50"),
    timedelta(1),
    {"a": [2**70, "text"]},
    time(1, 2),
    uuid4(),
    None,
    [1.0, None],
    {"a": None},
)
PAYLOAD = CODEC.encode(ROW)
HEADER = PAYLOAD[:8]


def test_a_part_of_a_row_or_more_than_a_row_is_none():
    assert CODEC.decode(PAYLOAD) == ROW
    for payload in (*(PAYLOAD[:end] for end in range(len(PAYLOAD))), PAYLOAD + b"\0", PAYLOAD + PAYLOAD):
        with pytest.raises(Undecodable):
            CODEC.decode(payload)


@given(st.binary())
@example(b"\xdd\xff\xff\xff\xff")  # lists of four billion items
@example(b"\x9d\xdd\xff\xff\xff\xff")
def test_garbage_is_no_row(garbage):
    for payload in (garbage, HEADER + garbage):
        with pytest.raises(Undecodable):
            CODEC.decode(payload)


@given(st.integers(8, len(PAYLOAD) - 1), st.integers(1, 255))
def test_a_changed_byte_is_refused_or_gives_values_of_the_same_kinds(position, difference):
    """To find every change is the work of the envelope; here nothing else than a refusal may come of it."""
    changed = bytearray(PAYLOAD)
    changed[position] ^= difference
    try:
        row = CODEC.decode(bytes(changed))
    except Undecodable:
        return
    for index, (found, value) in enumerate(zip(row, ROW, strict=True)):
        assert found is None or value is None or isinstance(found, type(value) | bytes) or index == 7


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_not_opened(protocol):
    bomb = pickle.dumps(Bomb(), protocol)

    for payload in (bomb, HEADER + bomb):
        with pytest.raises(Undecodable):
            CODEC.decode(payload)
    assert Bomb.exploded == 0
    pickle.loads(bomb)
    assert Bomb.defuse() == 1, "it would have gone off"


def test_a_time_that_its_new_zone_does_not_reach_is_no_row():
    codec = codec_with(at=models.DateTimeField())
    payload = codec.encode((1, datetime.min.replace(tzinfo=UTC)))

    with pytest.raises(Undecodable, match="brought back"):
        codec.decode(payload, ZoneInfo("America/New_York"))


OTHER_SCHEMAS = {
    "another name": {"b": models.CharField()},
    "another column": {"a": models.CharField(db_column="b")},
    "another kind": {"a": models.JSONField()},
    "a list of the kind": {"a": postgres.ArrayField(models.CharField())},
    "one more": {"a": models.CharField(), "b": models.CharField()},
    "none": {},
    "another table": {"a": models.CharField(), "Meta": type("Meta", (), {"db_table": "other"})},
}


@pytest.mark.parametrize("change", OTHER_SCHEMAS)
def test_rows_of_another_schema_are_no_rows(change):
    payload = codec_with(a=models.CharField()).encode((1, "a"))

    with pytest.raises(Undecodable, match=r"No row of testapp\.Row in its present form"):
        codec_with(**OTHER_SCHEMAS[change]).decode(payload)


def test_what_does_not_change_the_values_does_not_change_the_schema():
    payload = codec_with(a=models.CharField(max_length=5)).encode((1, "a"))

    assert codec_with(a=models.TextField(null=True, db_index=True)).decode(payload) == (1, "a")


def test_the_same_columns_in_other_tables_are_another_schema():
    def child_of(table):
        with isolate_apps("tests.testapp"):

            class Parent(models.Model):
                __module__ = MODELS
                a = models.IntegerField()

                class Meta:
                    db_table = table

            class Child(Parent):
                __module__ = MODELS
                b = models.IntegerField()

        return RowCodec(Child)

    payload = child_of("one").encode((1, 2, 1, 3))

    assert child_of("one").decode(payload) == (1, 2, 1, 3)
    with pytest.raises(Undecodable):
        child_of("two").decode(payload)
