"""Bulk inserts against Django's."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from django.db.models import QuerySet

from testproject.flights import loading
from testproject.flights.models import Airport, Flight, Plane

from .measuring import Pair, rolled_back

_ROWS = 50_000
_BATCH = 1_000


def pairs() -> Iterator[Pair]:
    """On a database without flights; what is inserted is rolled back."""
    airports = set(Airport.objects.values_list("pk", flat=True))
    planes = set(Plane.objects.values_list("pk", flat=True))
    flights = list(islice(loading.flights(planes, airports), _ROWS))
    columns = [field.attname for field in Flight._meta.concrete_fields if not field.primary_key]
    values = [{name: getattr(flight, name) for name in columns} for flight in flights]
    yield Pair(
        name="add_all() of 50,000 : bulk_create()",
        ours=lambda new: Flight.objects.add_all(new, _BATCH),
        theirs=lambda new: QuerySet(Flight).bulk_create(new, _BATCH),
        target=1.05,
        rounds=15,
        once=True,
        prepare=lambda: [Flight(**row) for row in values],
        around=rolled_back,
    )
