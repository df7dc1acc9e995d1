"""Rows as bytes: what goes in comes out, or is refused."""

from __future__ import annotations

import enum
import gc
import pickle
import weakref
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.contrib.postgres import fields as postgres
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.utils.safestring import mark_safe
from hypothesis import given
from hypothesis import strategies as st
from psycopg.types.range import Range

from django_enterprise_repo.caching.codec import Unencodable, row_codec
from tests.identical import identical
from tests.testapp.models import Car, Dog, Entry, Item, Seat, SmallCar
from tests.unit.caching.rows import codec_with, model_with, round_trip

BERLIN = ZoneInfo("Europe/Berlin")


def ends(values):
    """Ranges of these, also open and empty ones."""
    one = st.none() | values
    brackets = st.sampled_from(["[)", "(]", "()", "[]"])
    return st.builds(Range, one, one, brackets) | st.just(Range(empty=True))


unfolded = st.datetimes().map(lambda value: value.replace(fold=0))
moments = st.datetimes(timezones=st.just(UTC)).map(lambda value: value.replace(fold=0))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
integers = st.integers(-(2**63), 2**64 - 1)
decimals = st.decimals(allow_nan=True, allow_infinity=True)
COLUMNS = {
    "array": (lambda: postgres.ArrayField(models.DecimalField()), st.lists(st.none() | decimals)),
    "array of arrays": (
        lambda: postgres.ArrayField(postgres.ArrayField(models.DateTimeField())),
        st.lists(st.lists(moments | st.none())),
    ),
    "array of JSON": (lambda: postgres.ArrayField(models.JSONField()), st.lists(json_values)),
    "big integer": (models.BigIntegerField, integers),
    "binary": (models.BinaryField, st.binary() | st.binary().map(memoryview)),
    "boolean": (models.BooleanField, st.booleans()),
    "character": (models.CharField, st.text()),
    "date": (models.DateField, st.dates()),
    "date range": (postgres.DateRangeField, ends(st.dates())),
    "datetime": (models.DateTimeField, unfolded | moments),
    "datetime range": (postgres.DateTimeRangeField, ends(moments)),
    "decimal": (models.DecimalField, decimals),
    "decimal range": (postgres.DecimalRangeField, ends(st.decimals(allow_nan=False))),
    "duration": (models.DurationField, st.timedeltas()),
    "file": (models.FileField, st.text()),
    "float": (models.FloatField, st.floats()),
    "generated": (
        lambda: models.GeneratedField(expression=models.F("pk"), output_field=models.UUIDField(), db_persist=True),
        st.uuids(),
    ),
    "hstore": (postgres.HStoreField, st.dictionaries(st.text(), st.none() | st.text())),
    "image": (models.ImageField, st.text()),
    "integer range": (postgres.IntegerRangeField, ends(integers)),
    "ip address": (models.GenericIPAddressField, st.ip_addresses().map(str)),
    "json": (models.JSONField, json_values),
    "search vector": (SearchVectorField, st.text()),
    "small integer": (models.PositiveSmallIntegerField, integers),
    "text": (models.TextField, st.text()),
    "time": (models.TimeField, st.times().map(lambda value: value.replace(fold=0))),
    "uuid": (models.UUIDField, st.uuids()),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_every_value_comes_back_as_it_was(name):
    make, values = COLUMNS[name]
    codec = codec_with(column=make())

    @given(st.none() | values)
    def check(value):
        assert identical(round_trip(codec, value), (value,))

    check()


@given(st.datetimes(timezones=st.timezones()))
def test_a_moment_in_the_time_zone_of_its_connection_comes_back_or_is_refused(moment):
    codec = codec_with(at=models.DateTimeField(), many=postgres.ArrayField(models.DateTimeField()))
    try:
        payload = codec.encode((1, moment, [moment, None]))
    except Unencodable:
        assert not stays(moment)
        return
    assert identical(codec.decode(payload, moment.tzinfo), (1, moment, [moment, None]))


def stays(moment):
    """Not for an hour that the summer skips, nor at the ends of time."""
    try:
        return identical(moment.astimezone(UTC).astimezone(moment.tzinfo), moment)
    except OverflowError:
        return False


def test_the_second_of_two_equal_hours_comes_back():
    codec = codec_with(at=models.DateTimeField())
    first = datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN)

    for moment in (first, first.replace(fold=1)):
        assert identical(round_trip(codec, moment, timezone=BERLIN), (moment,))


def test_ranges_and_naive_times_under_a_time_zone():
    codec = codec_with(at=models.DateTimeField(), span=postgres.DateTimeRangeField())
    lower = datetime(2026, 1, 1, tzinfo=BERLIN)
    row = (datetime(2026, 1, 1), Range(lower, None))

    assert identical(round_trip(codec, *row, timezone=BERLIN), row)


def test_utc_by_another_name_is_that_other_name():
    named = ZoneInfo("UTC")
    codec = codec_with(at=models.DateTimeField())
    moment = datetime(2026, 1, 1, tzinfo=named)

    assert round_trip(codec, moment, timezone=named)[0].tzinfo is named
    assert round_trip(codec, moment)[0].tzinfo is UTC


class Text(str):
    __slots__ = ()


class Number(enum.IntEnum):
    ONE = 1


REFUSED = {
    "a subclass of text": (models.CharField, Text("a")),
    "safe text": (models.TextField, mark_safe("a")),
    "a lone surrogate": (models.CharField, "\ud800"),
    "a number for text": (models.CharField, 5),
    "an enumeration": (models.IntegerField, Number.ONE),
    "a truth for a number": (models.IntegerField, True),
    "a number for a truth": (models.BooleanField, 2),
    "text in a numeric column, which SQLite allows": (models.IntegerField, "5"),
    "an integer beyond 64 bits": (models.IntegerField, 2**64),
    "a whole number for a float": (models.FloatField, 1),
    "a float for a decimal": (models.DecimalField, 1.0),
    "a datetime for a date": (models.DateField, datetime(2026, 1, 1)),
    "a date for a datetime": (models.DateTimeField, date(2026, 1, 1)),
    "a fold that means nothing": (models.DateTimeField, datetime(2026, 1, 1, fold=1)),
    "a fold in UTC": (models.DateTimeField, datetime(2026, 1, 1, fold=1, tzinfo=UTC)),
    "an hour that was skipped": (models.DateTimeField, datetime(2026, 3, 29, 2, 30, tzinfo=BERLIN)),
    "a year that UTC has not": (models.DateTimeField, datetime.min.replace(tzinfo=timezone(timedelta(hours=2)))),
    "a time with a zone": (models.TimeField, time(1, tzinfo=UTC)),
    "a time with a fold": (models.TimeField, time(1, fold=1)),
    "a tuple in JSON": (models.JSONField, {"a": (1, 2)}),
    "a number as a key of JSON": (models.JSONField, {1: 2}),
    "a decimal in JSON": (models.JSONField, [Decimal(1)]),
    "an enumeration in JSON": (models.JSONField, [Number.ONE]),
    "a lone surrogate in JSON": (models.JSONField, ["\ud800"]),
    "a byte array": (models.BinaryField, bytearray(b"a")),
    "a view of numbers": (models.BinaryField, memoryview(b"1234").cast("I")),
    "a tuple for an array": (lambda: postgres.ArrayField(models.IntegerField()), (1,)),
    "text in an array of numbers": (lambda: postgres.ArrayField(models.IntegerField()), ["1"]),
    "a number in an hstore": (postgres.HStoreField, {"a": 1}),
    "a list for an hstore": (postgres.HStoreField, []),
    "a pair for a range": (postgres.IntegerRangeField, (1, 2)),
    "text as the end of a range": (postgres.IntegerRangeField, Range("a", "b")),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_come_back_different_is_refused_without_telling_it(name):
    make, value = REFUSED[name]
    codec = codec_with(column=make(), other=models.CharField())

    with pytest.raises(Unencodable) as caught:
        codec.encode((1, value, "fine"))

    message = f"testapp.Row.column has a value of type {type(value).__qualname__} that a cache cannot hold exactly."
    assert str(caught.value) == message
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert str(pickle.loads(pickle.dumps(caught.value))) == message


def test_nesting_without_end_is_refused():
    endless: list[object] = []
    endless.append(endless)

    with pytest.raises(Unencodable):
        codec_with(column=models.JSONField()).encode((1, endless))


@pytest.mark.parametrize("number", [-(2**63) - 1, 2**64, -(2**64), 10**400, -(10**400)])
def test_json_knows_integers_of_any_size(number):
    codec = codec_with(column=models.JSONField())

    assert identical(round_trip(codec, {"a": [number]}), ({"a": [number]},))


def test_a_row_has_as_many_values_as_columns():
    codec = codec_with(column=models.CharField())

    for values in [(1,), (1, "a", "b")]:
        with pytest.raises(ValueError, match="zip"):
            codec.encode(values)


def test_columns_of_parents_generated_ones_and_parts_of_a_key_belong_to_the_row():
    for model, row in [
        (Dog, (1, 4, 3, 1, "Rex")),
        (Seat, ("A", 7, 0)),
        (Entry, (1, None, "text", 2, 4)),
    ]:
        assert len(row) == len(model._meta.concrete_fields)
        codec = row_codec(model)
        assert identical(codec.decode(codec.encode(row)), row)


def test_a_proxy_reads_what_its_model_wrote():
    row = (1, 4, 1, 1, 3)

    assert row_codec(SmallCar).decode(row_codec(Car).encode(row)) == row


def test_codecs_are_made_once_and_go_with_their_models():
    assert row_codec(Item) is row_codec(Item)
    model = model_with(name=models.CharField())
    row_codec(model)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None
