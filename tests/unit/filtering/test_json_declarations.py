"""JSON paths before any database: which are refused, what their values become, and that SQL follows the shape."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import NotSupportedError, connection

from django_enterprise_repo import FilterField, FilterPolicy
from django_enterprise_repo.filtering import compile_filter, resolve_policy
from django_enterprise_repo.filtering.coercion import Refused, json_kind
from testproject.shop.models import Product


def policy(path, kind=int):
    return FilterPolicy(fields=(FilterField("value", path=path, type=kind),))


@pytest.mark.parametrize("step", ["-1", "1_0", "-1_0", "1234567890"])
def test_a_number_that_is_no_plain_position_is_refused(step):
    with pytest.raises(ImproperlyConfigured, match="position"):
        resolve_policy(Product, policy(f"metadata__a__{step}"))


@pytest.mark.parametrize("step", ["0", "12", "2024-01", "a1", "1a", "_1"])
def test_other_steps_with_digits_pass(step):
    assert resolve_policy(Product, policy(f"metadata__a__{step}")).fields["value"].keys == ("a", step)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (int, 3.0, 3),
        (float, 3.0, 3),
        (float, 2**53 + 1, 2**53 + 1),
        (float, 1.5, 1.5),
        (float, 2**70, float(2**70)),
        (Decimal, Decimal("3.00"), 3),
        (Decimal, Decimal("0.10"), 0.1),
        (Decimal, Decimal(2**53 + 1), 2**53 + 1),
        (Decimal, Decimal("-1E+30"), -1e30),
    ],
    ids=str,
)
def test_numbers_are_whole_or_doubles(kind, value, expected):
    coerced = json_kind(kind).coerce(value)

    assert coerced == expected
    assert type(coerced) is type(expected)


@pytest.mark.parametrize("value", [Decimal("1E+309"), Decimal("-1E+400"), Decimal("1E-400"), 10**300 * 10**9])
def test_numbers_beyond_a_double_are_refused(value):
    with pytest.raises(Refused) as caught:
        json_kind(Decimal).coerce(value)

    assert caught.value.code in ("out_of_range", "invalid_decimal")


@pytest.mark.parametrize("kind", [float, Decimal])
def test_what_is_no_number_is_refused(kind):
    for value in (True, "1", float("nan"), float("inf")):
        with pytest.raises(Refused):
            json_kind(kind).coerce(value)


def test_statements_follow_the_shape_and_not_the_values():
    def sql(value):
        rows = Product.objects.filter(compile_filter(Product, policy("metadata__a", float), {"value": value}).q())
        return rows.query.sql_with_params()[0]

    assert sql(1) == sql(1.5) == sql(-1e300)


def test_an_engine_without_a_defined_meaning_says_so(monkeypatch):
    monkeypatch.setattr(connection, "vendor", "another")
    for value in (1, None):
        rows = Product.objects.filter(compile_filter(Product, policy("metadata__a"), {"value": value}).q())
        with pytest.raises(NotSupportedError, match="another"):
            rows.query.sql_with_params()
