"""Filters, orderings and pages against a real database: one meaning on every engine."""

from __future__ import annotations

import datetime
from decimal import Decimal
from uuid import UUID

import pytest
from django.contrib.auth import get_user_model

from django_enterprise_repo import PaginationRequest, parse_pagination
from django_enterprise_repo.exceptions import InvalidFilter, InvalidOrdering, InvalidPagination
from django_enterprise_repo.filtering.patterns import fold, matches, parse_pattern
from django_enterprise_repo.testing import assert_queries
from testproject.shop.models import Category, Product
from testproject.shop.rows import NAMES, create_products
from tests.cases import load_cases

pytestmark = pytest.mark.django_db


@pytest.fixture
def products(db):
    return create_products(get_user_model().objects.create(username="owner"))


def names(filters=None, order_by=("id",)):
    return [product.name for product in Product.objects.list(filters, order_by)]


@pytest.mark.parametrize(
    "case", load_cases("baseline", "names", "operators", "structure", "values"), ids=lambda case: case["id"]
)
def test_hostile_filters(products, case):
    if case["expect"] == "accept":
        assert len(Product.objects.list(case["filters"])) == case["rows"]
        return
    with assert_queries(0), pytest.raises(InvalidFilter) as caught:
        Product.objects.list(case["filters"])
    assert caught.value.problems
    assert all(problem.code and problem.message for problem in caught.value.problems)
    assert len(str(caught.value)) < 6000


@pytest.mark.parametrize("case", load_cases("order_by"), ids=lambda case: case["id"])
def test_hostile_orderings(products, case):
    if case["expect"] == "accept":
        assert len(Product.objects.list(None, case["order_by"])) == case["rows"]
        return
    with assert_queries(0), pytest.raises((InvalidOrdering, TypeError)):
        Product.objects.list(None, case["order_by"])


@pytest.mark.parametrize("case", load_cases("pagination"), ids=lambda case: case["id"])
def test_hostile_pages(products, case):
    if case["expect"] == "accept":
        page = Product.objects.list(pagination=parse_pagination(case["pagination"]))
        assert len(page) == case["rows"]
        assert page.total_count == 17
        return
    with assert_queries(0), pytest.raises(InvalidPagination):
        parse_pagination(case["pagination"])


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"price": Decimal("10.00")}, 1),
        ({"price": 10.5}, 0),
        ({"price": {"ne": "10.005"}}, 17),
        ({"price": {"gt": "10.005"}}, 15),
        ({"price": {"gte": "10.005"}}, 15),
        ({"price": {"lte": "10.005"}}, 2),
        ({"price": {"in": ["10", "20.001"]}}, 1),
        ({"price": {"between": ["9.999", "20.001"]}}, 2),
        ({"price": {"lt": "-0.001"}}, 0),
        ({"released_on": {"ne": None}}, 12),
        ({"not": {"released_on": "2024-01-02"}}, 16),
        ({"not": {"not": {"released_on": "2024-01-02"}}}, 1),
        ({"released_on": datetime.date(2024, 1, 2)}, 1),
        ({"created_at": datetime.datetime(2024, 1, 2, tzinfo=datetime.UTC)}, 1),
        ({"created_at": "2024-01-02T02:00:00+02:00"}, 1),
        ({"uuid": UUID(int=3)}, 1),
        ({"uuid": "00000000-0000-0000-0000-00000000000A"}, 1),
        ({"stock": "3", "is_active": False}, 1),
        ({"stock": {"gt": 3, "lt": 6}}, 2),
        ({"category": {"ne": "Toys"}}, 9),
        ({"stock": {"not_in": []}}, 17),
        ({"metadata.color": "red"}, 11),
        ({"not": {"metadata.color": "red"}}, 6),
        ({"metadata.color": {"not_in": ["red"]}}, 6),
        ({"metadata.color": {"in": ["red", "blue"]}}, 11),
        ({"metadata.color": None}, 6),
        ({"metadata.color": {"is_null": False}}, 11),
        ({"metadata.color": {"ilike": "R%"}}, 11),
        ({"metadata.color": {"like": "R%"}}, 0),
        ({"metadata.color": {"not_like": "r%"}}, 6),
        ({"metadata.a.b": {"gt": 4}}, 8),
        ({"metadata.a.b": {"between": [4, 8]}}, 4),
        ({"metadata.a.b": {"in": [4, 5, 6]}}, 2),
        ({"not": {"metadata.a.b": {"gt": 4}}}, 9),
    ],
    ids=str,
)
def test_accepted_filters_mean_the_same_everywhere(products, filters, count):
    assert len(Product.objects.list(filters)) == count


@pytest.mark.parametrize(
    "metadata",
    [{"color": None}, {"other": 1}, {}],
    ids=["json null", "no such key", "empty"],
)
def test_a_json_null_and_a_missing_key_are_both_null(products, metadata):
    Product.objects.filter(sku="S1").update(metadata=metadata)

    assert Product.objects.exists({"sku": "S1", "metadata.color": None})
    assert not Product.objects.exists({"sku": "S1", "metadata.color": {"is_null": False}})
    assert Product.objects.exists({"sku": "S1", "metadata.color": {"ne": "red"}})
    assert Product.objects.exists({"sku": "S1", "metadata.color": {"not_like": "r%"}})


PATTERNS = [
    "%",
    "",
    "_",
    "%laptop%",
    "%LAPTOP%",
    "laptop%",
    "%laptop",
    "Laptop Pro",
    "laptop\\_x",
    "laptop_x",
    "%\\%%",
    "%\\_%",
    "%\\\\%",
    "back_slash",
    "l_ptop",
    "l__ptop",
    "%ä%",
    "%Ä%",
    "ünïcode%",
    "stra_e",
    "strasse",
    "straße",
    "%line%",
    "new_line%",
    "i%",
    "İ%",
    "trail",
    "trail ",
    "trail_",
    "%[%",
    "%*%",
    "?ablet",
    "%a%a%",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_mean_the_same_everywhere(products, pattern):
    tokens = parse_pattern(pattern)
    folded = parse_pattern(fold(pattern))

    assert names({"name": {"like": pattern}}) == [name for name in NAMES if matches(tokens, name)]
    assert names({"name": {"ilike": pattern}}) == [name for name in NAMES if matches(folded, fold(name))]
    assert names({"name": {"not_like": pattern}}) == [name for name in NAMES if not matches(tokens, name)]


@pytest.mark.parametrize(
    ("operator", "text", "expected"),
    [
        ("contains", "50%", ["50% off laptop"]),
        ("contains", "_", ["LAPTOP_X", "100_percent"]),
        ("contains", "\\", ["back\\slash"]),
        ("starts_with", "laptop", ["laptop basic"]),
        ("istarts_with", "LAPTOP", ["Laptop Pro", "laptop basic", "LAPTOP_X"]),
        ("ends_with", "laptop", ["50% off laptop", "new\nline laptop"]),
        ("iends_with", "läptop", ["Ünïcode LÄPTOP", "läptop"]),
        ("icontains", "ÄPT", ["Ünïcode LÄPTOP", "läptop"]),
    ],
)
def test_literal_text_operators(products, operator, text, expected):
    assert names({"name": {operator: text}}) == expected


def test_null_is_smallest_unless_said_otherwise(products):
    def dates(term):
        return [product.released_on for product in Product.objects.list(None, [term])]

    assert dates("released_on")[:5] == [None] * 5
    assert dates("released_on:desc")[-5:] == [None] * 5
    assert dates("released_on:nulls_last")[-5:] == [None] * 5
    assert dates("released_on:desc:nulls_first")[:5] == [None] * 5
    known = [date for date in dates("released_on:desc") if date]
    assert known == sorted(known, reverse=True)


def test_every_order_is_total(products):
    rows = Product.objects.list(None, ["is_active:desc"])
    assert [row.pk for row in rows] == [p.pk for p in sorted(products, key=lambda p: (not p.is_active, p.pk))]


def test_a_sort_term_chains_and_reverses(products):
    ascending = [row.pk for row in Product.objects.sort_by("released_on", "id")]
    assert [row.pk for row in Product.objects.sort_by("released_on", "id").reverse()] == ascending[::-1]


def test_where_narrows_any_queryset(products):
    toys = Category.objects.get(name="Toys")
    assert Product.objects.filter(category=toys).where({"stock": {"lt": 4}}).count() == 2
    assert toys.product_set.where({"stock": {"lt": 4}}).count() == 2


def test_a_page_knows_its_place(products):
    with assert_queries(2):
        first = Product.objects.list(None, ["stock"], PaginationRequest(limit=5))
    assert (len(first), first.total_count, first.has_next, first.has_previous) == (5, 17, True, False)
    assert [product.stock for product in first] == [0, 1, 2, 3, 4]
    assert first.previous is None

    second = Product.objects.list(None, ["stock"], first.next)
    assert second[0].stock == 5
    assert second.previous == first.request

    with assert_queries(1):  # the last page tells the total by itself
        last = Product.objects.list(None, ["stock"], PaginationRequest(offset=15, limit=5))
    assert (len(last), last.total_count, last.has_next) == (2, 17, False)

    with assert_queries(1):
        uncounted = Product.objects.list(None, ["stock"], PaginationRequest(limit=5, total="none"))
    assert (uncounted.total_count, uncounted.has_next) == (None, True)

    capped = Product.objects.list(None, ["stock"], PaginationRequest(limit=5, total="capped", cap=10))
    assert (capped.total_count, capped.total_is_exact) == (10, False)


def test_a_page_past_the_end_still_counts(products):
    page = Product.objects.list(pagination=PaginationRequest(offset=100, limit=5))
    assert (len(page), page.total_count, page.has_next, page.has_previous) == (0, 17, False, True)


def test_caps_hold_for_requests_made_in_python(products):
    with assert_queries(0), pytest.raises(InvalidPagination, match="max_limit"):
        Product.objects.list(pagination=PaginationRequest(limit=101))
    with assert_queries(0), pytest.raises(InvalidPagination, match="max_offset"):
        Product.objects.all().paginate(PaginationRequest(offset=10_001))
