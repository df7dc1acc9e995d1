"""Page requests and pages."""

from __future__ import annotations

import pickle

import pytest
from django.test import override_settings

from django_enterprise_repo import FilterPolicy, Page, PaginationRequest, parse_pagination
from django_enterprise_repo.exceptions import InvalidPagination
from django_enterprise_repo.pagination import check_caps


def page(items=(1, 2, 3), *, offset=0, limit=3, total=7):
    return Page(tuple(items), PaginationRequest(offset=offset, limit=limit), total, True, True, offset > 0)


def test_a_page_is_a_sequence():
    it = page()

    assert (len(it), list(it), it[0], it[-1], it[1:], 2 in it) == (3, [1, 2, 3], 1, 3, (2, 3), True)
    assert repr(it) == "<Page: 3 rows from 0, of 7>"
    assert pickle.loads(pickle.dumps(it)) == it


def test_the_neighbours_of_a_page():
    first, middle = page(), page(offset=2)

    assert first.previous is None
    assert first.next == PaginationRequest(offset=3, limit=3)
    assert middle.previous == PaginationRequest(offset=0, limit=3)


@pytest.mark.parametrize(
    "values",
    [{"offset": -1}, {"limit": 0}, {"limit": True}, {"limit": "5"}, {"offset": 2**31}, {"total": "some"}, {"cap": 0}],
    ids=str,
)
def test_numbers_that_cannot_be_meant(values):
    with pytest.raises(InvalidPagination) as caught:
        PaginationRequest(**values)

    assert caught.value.problems[0].path == tuple(values)


def test_caps_are_the_policys_and_then_the_settings():
    check_caps(PaginationRequest(limit=100), FilterPolicy())
    with pytest.raises(InvalidPagination, match="at most 100 rows"):
        check_caps(PaginationRequest(limit=101), FilterPolicy())
    check_caps(PaginationRequest(limit=500), FilterPolicy(max_limit=500))
    with override_settings(ENTERPRISE_REPO={"PAGE_LIMIT": 5}), pytest.raises(InvalidPagination, match="at most 5"):
        check_caps(PaginationRequest(limit=6), FilterPolicy())
    with pytest.raises(InvalidPagination, match="max_offset"):
        check_caps(PaginationRequest(offset=10_001), FilterPolicy())


def test_parsing_a_query_string():
    assert parse_pagination({"offset": "40", "limit": "10"}) == PaginationRequest(offset=40, limit=10)
    assert parse_pagination({}) == PaginationRequest()
    assert parse_pagination({}, FilterPolicy(max_limit=5)).limit == 5


@pytest.mark.parametrize(
    "parameters",
    [{"limit": "ten"}, {"offset": "-1"}, {"limit": "1e2"}, {"page": "2"}, {"cursor": "abc"}, {"limit": None}, [], "x"],
    ids=str,
)
def test_parsing_refuses(parameters):
    with pytest.raises(InvalidPagination):
        parse_pagination(parameters)
