"""Values, strictly."""

from __future__ import annotations

import datetime
from decimal import Decimal

import pytest
from django.db import models

from django_enterprise_repo.filtering.coercion import Refused, json_kind, kind_of


def coerce(field, value):
    return kind_of(field).coerce(value)


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        (models.IntegerField(), "42", 42),
        (models.IntegerField(), -7, -7),
        (models.BooleanField(), True, True),
        (models.DecimalField(max_digits=5, decimal_places=2), "1.5", Decimal("1.5")),
        (models.DecimalField(max_digits=5, decimal_places=2), 3, Decimal(3)),
        (models.FloatField(), "1e3", 1000.0),
        (models.DateField(), "2026-02-28", datetime.date(2026, 2, 28)),
        (models.TimeField(), "12:30:00", datetime.time(12, 30)),
        (models.DurationField(), "3 04:00:00", datetime.timedelta(days=3, hours=4)),
        (models.GenericIPAddressField(), "::1", "::1"),
        (models.CharField(max_length=9), " kept ", " kept "),
    ],
    ids=str,
)
def test_what_is_taken(field, value, expected):
    assert coerce(field, value) == expected


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        (models.IntegerField(), True, "invalid_integer"),
        (models.IntegerField(), "1_000", "invalid_integer"),
        (models.IntegerField(), "٤٢", "invalid_integer"),
        (models.IntegerField(), " 1", "invalid_integer"),
        (models.IntegerField(), 2**31, "out_of_range"),
        (models.PositiveSmallIntegerField(), -1, "out_of_range"),
        (models.BooleanField(), 1, "invalid_boolean"),
        (models.BooleanField(), "true", "invalid_boolean"),
        (models.FloatField(), float("nan"), "invalid_number"),
        (models.FloatField(), float("inf"), "invalid_number"),
        (models.DecimalField(max_digits=5, decimal_places=2), "NaN", "invalid_decimal"),
        (models.DateField(), "2026-02-30", "invalid_date"),
        (models.DateField(), "20260228", "invalid_date"),
        (models.DateTimeField(), "2026-02-28T12:00:00", "invalid_datetime"),
        (models.DateTimeField(), datetime.datetime(2026, 1, 1), "invalid_datetime"),
        (models.UUIDField(), "0" * 32, "invalid_uuid"),
        (models.CharField(max_length=9), "a\0b", "invalid_text"),
        (models.CharField(max_length=9), "\ud800", "invalid_text"),
        (models.CharField(max_length=9), 5, "invalid_text"),
        (models.GenericIPAddressField(), "1.2.3", "invalid_address"),
    ],
    ids=str,
)
def test_what_is_refused(field, value, code):
    with pytest.raises(Refused) as caught:
        coerce(field, value)

    assert caught.value.code == code


def test_json_takes_nothing_from_text():
    assert json_kind(int).coerce(5) == 5
    with pytest.raises(Refused):
        json_kind(int).coerce("5")
    with pytest.raises(Refused):
        json_kind(Decimal).coerce("5")


def test_files_and_documents_have_no_values():
    assert kind_of(models.FileField()) is None
    assert kind_of(models.JSONField()) is None
    assert kind_of(models.BinaryField()) is None
