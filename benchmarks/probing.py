"""What a health probe costs, against the query that the application lives on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.db import connections
from django.db.models import QuerySet
from django.test import RequestFactory

from django_enterprise_repo.health import lanes
from django_enterprise_repo.health.answers import answer

from .measuring import Pair
from .models import Trailed


def pairs() -> Iterator[Pair]:
    """Of one database. The first asks it each time, on a connection of its own; the second does so once a second.

    The tables were made without migrations, which are not asked about.
    """
    row = Trailed.objects.create(name="a", code="a", group=1)
    by_hand = QuerySet(Trailed, using="django")

    def theirs() -> None:
        by_hand.get(pk=row.pk)

    yield Pair(
        name="/health/?check=database, asked anew : Django's get(pk=…)",
        ours=lambda: _unremembered(_probe("full", "?check=database")),
        theirs=theirs,
        target=20.0,
        rounds=100,
    )
    yield Pair(
        name="/health/ready, as often as it is asked : Django's get(pk=…)",
        ours=_probe("ready", "?check=database&check=circuit_breaker&check=cache&check=configuration"),
        theirs=theirs,
        target=20.0,
        rounds=100,
    )
    yield Pair(
        name="for comparison: a new connection by hand : Django's get(pk=…)",
        ours=_connected,
        theirs=theirs,
        target=20.0,
        rounds=100,
    )


def _probe(endpoint: Any, query: str = "") -> Callable[[], None]:
    request = RequestFactory().get(f"/health/{query}")

    def probe() -> None:
        response = answer(request, endpoint)
        assert response.status_code == 200, response

    return probe


def _unremembered(probe: Callable[[], None]) -> None:
    lanes.forget()
    probe()


def _connected() -> None:
    connection = connections["django"].copy()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    connection.close()
