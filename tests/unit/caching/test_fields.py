"""Which fields a row may have, and how a project adds its own."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from django.apps import apps
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.test.utils import isolate_apps

from django_enterprise_repo.caching.codec import (
    Undecodable,
    Unencodable,
    fields,
    register_field,
    row_codec,
    unsupported_fields,
)
from tests.identical import identical
from tests.unit.caching.rows import MODELS, codec_with, model_with, round_trip


@pytest.fixture(autouse=True)
def _nothing_stays_registered(monkeypatch):
    monkeypatch.setattr(fields, "_known", dict(fields._known))


@dataclass(frozen=True)
class Money:
    amount: Decimal
    currency: str


class MoneyField(models.CharField):
    def from_db_value(self, value, expression, connection):
        return Money(Decimal(value.split()[0]), value.split()[1])


class LoudField(models.CharField):
    """Reads as a CharField does."""

    def to_python(self, value):
        return str(value).upper()


class ConvertedField(models.IntegerField):
    def get_db_converters(self, connection):
        return [*super().get_db_converters(connection), lambda value, expression, connection: value]


class PointField(models.Field):
    def db_type(self, connection):
        return "point"


class Decoder(json.JSONDecoder):
    pass


class RenamedJSONField(models.JSONField):
    pass


MADE_UP = {
    "money": MoneyField,
    "converted": ConvertedField,
    "point": PointField,
    "decoded": lambda: models.JSONField(decoder=Decoder),
    "amounts": lambda: ArrayField(MoneyField()),
    "copy": lambda: models.GeneratedField(expression=models.F("pk"), output_field=MoneyField(), db_persist=True),
}


def test_fields_that_may_read_anything_are_named():
    others = {"loud": LoudField(), "document": RenamedJSONField(), "loud_ones": ArrayField(LoudField())}
    model = model_with(**{name: make() for name, make in MADE_UP.items()}, **others)

    assert [field.name for field in unsupported_fields(model)] == list(MADE_UP)
    with pytest.raises(ImproperlyConfigured, match=r"testapp\.Row: a cache cannot hold .* of money, converted, point"):
        row_codec(model)


def test_a_key_is_as_good_as_what_it_points_to():
    with isolate_apps("tests.testapp"):

        class Target(models.Model):
            __module__ = MODELS
            id = MoneyField(primary_key=True)

        class Pointing(models.Model):
            __module__ = MODELS
            target = models.ForeignKey(Target, models.CASCADE)
            own = models.OneToOneField("self", models.CASCADE)

    assert [field.name for field in unsupported_fields(Pointing)] == ["target"]


def test_every_model_that_comes_with_the_project_can_be_cached():
    assert [field for model in apps.get_models() for field in unsupported_fields(model)] == []


def test_a_registered_field_goes_through_its_functions():
    register_field(
        MoneyField, tuple[Decimal, str], lambda money: (money.amount, money.currency), lambda found: Money(*found)
    )
    codec = codec_with(price=MoneyField(), prices=ArrayField(MoneyField()))
    row = (Money(Decimal("1.50"), "EUR"), [Money(Decimal(2), "CHF"), None])

    assert identical(round_trip(codec, *row), row)
    assert identical(round_trip(codec, None, None), (None, None))


def test_a_registered_type_may_be_what_msgspec_knows_by_itself():
    register_field(MoneyField, Money)
    codec = codec_with(price=MoneyField())
    money = Money(Decimal("1.50"), "EUR")

    assert round_trip(codec, money) == (money,)


def test_a_registered_plain_type_is_as_strict_as_a_field_of_it():
    register_field(ConvertedField, datetime)
    codec = codec_with(at=ConvertedField())
    moment = datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=2)))

    assert identical(round_trip(codec, moment, timezone=moment.tzinfo), (moment,))


def fails(*args):
    raise KeyError("s3cret")


@pytest.mark.parametrize(
    ("type_", "to_cached", "from_cached"),
    [
        (str, lambda money: "1 EUR", lambda found: Money(Decimal(2), "EUR")),  # not equal
        (str, lambda money: "1 EUR", lambda found: found),  # not of its type
        (str, lambda money: money, None),  # not what was promised
        (Any, lambda money: None, lambda found: Money(Decimal(1), "EUR")),  # null is null
        (str, fails, lambda found: found),
        (str, lambda money: "1 EUR", fails),
    ],
)
def test_a_registered_field_that_does_not_bring_its_value_back_is_not_believed(type_, to_cached, from_cached):
    register_field(MoneyField, type_, to_cached, from_cached)

    with pytest.raises(Unencodable, match=r"testapp\.Row\.price has a value of type Money that") as caught:
        codec_with(price=MoneyField()).encode((1, Money(Decimal(1), "EUR")))
    assert "s3cret" not in str(caught.value)


class Choice(enum.IntEnum):
    ONE = 1


@pytest.mark.parametrize(("from_cached", "comes_back"), [(Choice, True), (int, False)])
def test_an_equal_value_of_another_type_is_another_value(from_cached, comes_back):
    register_field(ConvertedField, int, int, from_cached)
    codec = codec_with(choice=ConvertedField())

    if comes_back:
        assert round_trip(codec, Choice.ONE)[0] is Choice.ONE
    else:
        with pytest.raises(Unencodable):
            codec.encode((1, Choice.ONE))


def test_a_function_that_fails_later_makes_a_miss():
    healthy = [True]

    def from_cached(found):
        return Money(Decimal(found), "EUR") if healthy else fails()

    register_field(MoneyField, str, lambda money: str(money.amount), from_cached)
    codec = codec_with(price=MoneyField())
    payload = codec.encode((1, Money(Decimal(1), "EUR")))
    healthy.clear()

    with pytest.raises(Undecodable):
        codec.decode(payload)


def test_what_reads_in_its_own_way_has_to_be_registered_itself():
    class OtherMoneyField(MoneyField):
        def from_db_value(self, value, expression, connection):
            return value

    register_field(MoneyField, Money)

    assert unsupported_fields(model_with(price=type("SameMoneyField", (MoneyField,), {})())) == []
    assert len(unsupported_fields(model_with(price=OtherMoneyField()))) == 1


def test_registering_counts_for_models_whose_codec_is_there():
    model = model_with(price=LoudField())
    payload = row_codec(model).encode((1, "a"))
    register_field(LoudField, str, str.lower, str.lower)

    with pytest.raises(Undecodable):
        row_codec(model).decode(payload)
