"""Lists, filters and streams against querysets written by hand."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet

from django_enterprise_repo import PaginationRequest
from testproject.flights.models import Flight

from .measuring import Pair

_PAGE = PaginationRequest(limit=20)


def pairs() -> Iterator[Pair]:
    """On a database with all flights."""
    assert _page_by_verb() == _page_by_hand(), "both sides must find the same"
    assert str(_where().query) == str(_filter().query), "both sides must send the same"
    yield Pair(
        name="list(): 3 conditions, 2 orderings, page of 20",
        ours=_page_by_verb,
        theirs=_page_by_hand,
        target=1.15,
        rounds=200,
    )
    yield Pair(name="where() of 5 conditions : filter()", ours=_where, theirs=_filter, target=1.5, rounds=200)
    yield Pair(
        name="stream() of 336,776 : iterator()",
        ours=lambda: _exhaust(Flight.objects.stream()),
        theirs=lambda: _exhaust(_by_hand().order_by("pk").iterator(chunk_size=2000)),
        target=1.1,
        rounds=9,
        once=True,
    )


def _by_hand() -> QuerySet[Flight]:
    """Django's own queryset, with the condition that a soft-deletable model needs everywhere."""
    return QuerySet(Flight).filter(deleted_at=None)


# The conditions are in alphabetical order, as Django sorts keywords and both sides must send the same statement.
# A page that an index finds quickly: the faster the database, the more our own time shows.


def _page_by_verb() -> tuple[list[Flight], int | None]:
    page = Flight.objects.list(
        {"carrier": "HA", "day": {"gte": "2013-10-01"}, "distance": {"gt": 1000}},
        ["distance:desc", "time_hour"],
        _PAGE,
    )
    return list(page), page.total_count


def _page_by_hand() -> tuple[list[Flight], int]:
    flights = (
        _by_hand()
        .filter(airline_id="HA", day__gte="2013-10-01", distance__gt=1000)
        .order_by("-distance", "time_hour", "pk")
    )
    return list(flights[:21])[:20], flights.count()


def _where() -> Any:
    return Flight.objects.where(
        {
            "carrier": "HA",
            "day": {"gte": "2013-10-01"},
            "departure_delay": {"lt": 60},
            "distance": {"gt": 1000},
            "tailnum": {"in": ["N380HA", "N381HA", "N382HA"]},
        }
    )


def _filter() -> Any:
    return Flight.objects.filter(
        airline_id="HA",
        day__gte="2013-10-01",
        departure_delay__lt=60,
        distance__gt=1000,
        tailnum__in=["N380HA", "N381HA", "N382HA"],
    )


def _exhaust(rows: Iterator[Any]) -> None:
    deque(rows, maxlen=0)
