"""The steps of the demo after the import: each performs what its call says and answers lines about the result."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from django_enterprise_repo import PaginationRequest, operation_context
from django_enterprise_repo.exceptions import EmptyPredicate, InvalidFilter, StaleObjectError

from ..models import Airline, Airport, Flight, Plane
from ..repositories import LOCKED

Step = tuple[str, str, Callable[[], Iterator[str]]]

_LATE = {"origin": "JFK", "departure_delay": {"gt": 600}}


_FILTER_CALL = """\
Flight.objects.list({"or": [{"airline": {"ilike": "%jet%"}},
                            {"manufacturer": {"starts_with": "AIRBUS"}}],
                     "departure_delay": {"between": [400, 1300]},
                     "not": {"origin": "EWR"}},
                    order_by=["departure_delay:desc", "time_hour"])"""

_PAGE_CALL = """\
Flight.objects.list({"carrier": "HA"}, ["time_hour:desc"],
                    PaginationRequest(offset=40, limit=3))"""


@cache
def user() -> Any:
    """The person who does it all."""
    return get_user_model()._default_manager.get_or_create(username="dispatcher")[0]


def resident_megabytes() -> float:
    """Memory of this process that is in RAM now; where there is no /proc, the most there ever was."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 2**20
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def one_row() -> Iterator[str]:
    yield repr(str(Plane.objects.get("N14228")))


def one_or_none() -> Iterator[str]:
    yield repr(Plane.objects.get_or_none("N00000"))


def several() -> Iterator[str]:
    yield str(list(Airline.objects.get_many(["UA", "B6", "??"])))


def by_condition() -> Iterator[str]:
    airline = Airline.objects.get_by(name="JetBlue Airways")
    yield repr(airline and airline.carrier)


def counting() -> Iterator[str]:
    yield f"{Flight.objects.count(_LATE):,}"


def existing() -> Iterator[str]:
    yield str(Flight.objects.exists({"destination": "HNL", "origin": "LGA"}))


def filtering() -> Iterator[str]:
    flights = Flight.objects.list(
        {
            "or": [{"airline": {"ilike": "%jet%"}}, {"manufacturer": {"starts_with": "AIRBUS"}}],
            "departure_delay": {"between": [400, 1300]},
            "not": {"origin": "EWR"},
        },
        order_by=["departure_delay:desc", "time_hour"],
    )
    yield f"{len(flights)} flights, the latest of them:"
    for flight in flights[:3]:
        yield f"{flight}  {flight.departure_delay} minutes late"


def paging() -> Iterator[str]:
    page = Flight.objects.list({"carrier": "HA"}, ["time_hour:desc"], PaginationRequest(offset=40, limit=3))
    yield f"rows {page.offset + 1} to {page.offset + len(page)} of total_count={page.total_count}"
    yield f"has_previous={page.has_previous} has_next={page.has_next} next.offset={page.next and page.next.offset}"


def hostile() -> Iterator[str]:
    try:
        Flight.objects.list({"airline__name": "x", "distance": {"gt": "far"}, "or": []})
    except InvalidFilter as error:
        for problem in error.problems:
            yield f"{problem.code:<16} {problem}"


def lazily() -> Iterator[str]:
    flights = Flight.objects.list({"destination": "ANC"})
    makers = {flight.plane.manufacturer for flight in flights if flight.plane}
    yield f"{len(flights)} flights, made by {', '.join(sorted(makers))}: one query more for each plane"


def eagerly() -> Iterator[str]:
    flights = Flight.objects.list({"destination": "ANC"}, load=("plane", "airline"))
    makers = {flight.plane.manufacturer for flight in flights if flight.plane}
    yield f"{len(flights)} flights, made by {', '.join(sorted(makers))}: joined"


def prefetched() -> Iterator[str]:
    airports = Airport.objects.list({"faa": {"in": ["ANC", "HNL"]}}, load=("arrivals",))
    yield ", ".join(f"{airport.faa} {len(airport.arrivals.all())} arrivals" for airport in airports)


def streaming() -> Iterator[str]:
    before = most = resident_megabytes()
    miles = count = 0
    for flight in Flight.objects.stream():
        miles += flight.distance
        count += 1
        if count % 2000 == 0:
            most = max(most, resident_megabytes())
    yield f"{count:,} flights, {miles:,} miles"
    yield f"resident memory: {before:.0f} MB before, never more than {most:.0f} MB on the way"


def adding() -> Iterator[str]:
    plane = Plane.objects.add(
        Plane(tailnum="N2013X", type="Fixed wing multi engine", manufacturer="BOEING", model="747-8", engines="4",
              seats=410, engine="Turbo-fan"),
        user=user(),
        reason="delivered",
    )  # fmt: skip
    yield f"{plane.tailnum} version {plane.version}, engines={plane.engines!r}"


def updating() -> Iterator[str]:
    plane = Plane.objects.get("N2013X")
    Plane.objects.update(plane, seats=F("seats") + 10, user=user())
    yield f"seats={plane.seats} version={plane.version}"


def conflicting() -> Iterator[str]:
    mine, theirs = Plane.objects.get("N2013X"), Plane.objects.get("N2013X")
    Plane.objects.update(theirs, seats=400)
    try:
        Plane.objects.update(mine, seats=999)
    except StaleObjectError as error:
        yield f"StaleObjectError: {error}"
        yield f"expected={error.expected} actual={error.actual}; mine is unchanged: seats={mine.seats}"


def deleting() -> Iterator[str]:
    result = Plane.objects.delete("N2013X", user=user(), reason="sold")
    yield f"{tuple(result)}  operation {result.operation_id}"
    yield f"get_or_none: {Plane.objects.get_or_none('N2013X')}"


def including_deleted() -> Iterator[str]:
    plane = Plane.objects.get("N2013X", include_deleted=True)
    yield f"deleted_by={plane.deleted_by} deletion_id={plane.deletion_id}"
    yield f"{Plane.objects.count():,} planes, {len(Plane.objects.list(include_deleted=True)):,} with the deleted one"


def restoring() -> Iterator[str]:
    result = Plane.objects.restore("N2013X", user=user())
    yield f"{tuple(result)}  version {Plane.objects.get('N2013X').version}"


def remembering() -> Iterator[str]:
    for entry in Plane.objects.get("N2013X").history.order_by("history_id"):
        reason = f" because {entry.history_change_reason}" if entry.history_change_reason else ""
        yield f"{entry.history_type} seats={entry.seats} version={entry.version} by {entry.history_user}{reason}"


def refusing() -> Iterator[str]:
    told = ""
    for filters in ({}, {"distance": {"not_in": []}}):
        try:
            Flight.objects.delete_all(filters)
        except EmptyPredicate as error:
            yield f"delete_all({filters or ''}): {type(error).__name__}"
            told = str(error)
    yield told


def bulk_updating() -> Iterator[str]:
    yield f"{Flight.objects.update_all({'carrier': 'HA'}, departure_delay=F('departure_delay') + 1):,} rows"


def bulk_deleting() -> Iterator[str]:
    yield f"{Flight.objects.delete_all({'departure_delay': {'is_null': True}}, user=user()):,} cancelled flights"
    yield f"{Flight.objects.count():,} are left"


def bulk_restoring() -> Iterator[str]:
    yield f"{Flight.objects.restore_all({'departure_delay': {'is_null': True}}):,} are back"


def relating() -> Iterator[str]:
    hawaiian = Airline.objects.get("HA")
    yield f"{hawaiian.flights.count({'arrival_delay': {'lte': 0}})} of {hawaiian.flights.count()} in time"
    stranger = Flight.objects.list({"carrier": "UA"}, pagination=PaginationRequest(limit=1))[0]
    yield f"hawaiian.flights.get_or_none(<a United flight>): {hawaiian.flights.get_or_none(stranger.pk)}"


def locking() -> Iterator[str]:
    with transaction.atomic():
        airline = Airline.objects.get("B6", for_update=True)
        yield f"{airline} is ours until the transaction ends (SQLite locks the whole file instead)"


def refreshing() -> Iterator[str]:
    airline = Airline.objects.get("B6")
    airline.name = "JetBlue"
    Airline.objects.commit_and_refresh(airline)
    yield f"{airline.name!r} version {airline.version}"


def ambient() -> Iterator[str]:
    with operation_context(user=user(), reason="spring cleaning", correlation_id="demo-1"):
        plane = Plane.objects.get("N2013X")
        plane.save()
    entry = plane.history.first()
    yield f"plain save() was recorded by {entry.history_user} because {entry.history_change_reason}"


def asynchronously() -> Iterator[str]:
    async def work() -> int:
        count = 0
        async for _airline in Airline.objects.astream():
            count += 1
        return count + await Flight.objects.acount({"carrier": "HA"})

    yield str(async_to_sync(work)())


def examining() -> Iterator[str]:
    yield f"Flight.objects.health().status == {Flight.objects.health(timeout=20).status!r}"
    table = StringIO()
    with suppress(SystemExit):  # a failure is in the table, too
        call_command("repository_health", timeout=20, no_color=True, stdout=table)
    yield from table.getvalue().splitlines()


def caching() -> Iterator[str]:
    flight = Flight.objects.list(pagination=PaginationRequest(limit=1))[0]

    def look() -> str:
        before = Flight.objects.cache_info()
        with CaptureQueriesContext(connection) as sent:
            found = Flight.objects.get(flight.pk)
        answer = "from the cache" if Flight.objects.cache_info().hit > before.hit else "from the database"
        return f"departure_delay={found.departure_delay} {answer}, statements: {len(sent)}"

    time.sleep(LOCKED + 0.1)  # all flights have just been written
    yield f"cold:             {look()}"
    yield f"again:            {look()}"
    Flight.objects.update(flight, departure_delay=7)
    yield f"updated:          {look()}"
    time.sleep(LOCKED + 0.1)
    yield f"a moment later:   {look()}"
    yield f"and again:        {look()}"
    with suppress(Rollback), transaction.atomic():
        Flight.objects.update(flight, departure_delay=999)
        yield f"in a transaction: {look()}"
        raise Rollback
    yield f"rolled back:      {look()}"
    yield str(Flight.objects.cache_info())


class Rollback(Exception):
    """Takes a transaction back."""


CHAPTERS: tuple[tuple[str, tuple[Step, ...]], ...] = (
    (
        "Reading",
        (
            ("By primary key", 'Plane.objects.get("N14228")', one_row),
            ("Or none", 'Plane.objects.get_or_none("N00000")', one_or_none),
            ("Several at once", 'Airline.objects.get_many(["UA", "B6", "??"])', several),
            ("By a column", 'Airline.objects.get_by(name="JetBlue Airways")', by_condition),
            ("Counting", 'Flight.objects.count({"origin": "JFK", "departure_delay": {"gt": 600}})', counting),
            ("Existing", 'Flight.objects.exists({"destination": "HNL", "origin": "LGA"})', existing),
            (
                "Operators, nesting, several orderings",
                _FILTER_CALL,
                filtering,
            ),
            (
                "A page and what it knows",
                _PAGE_CALL,
                paging,
            ),
            (
                "A filter that asks for too much",
                'Flight.objects.list({"airline__name": "x", "distance": {"gt": "far"}, "or": []})',
                hostile,
            ),
            ("Loading lazily", 'Flight.objects.list({"destination": "ANC"})', lazily),
            ("Loading eagerly", 'Flight.objects.list({"destination": "ANC"}, load=("plane", "airline"))', eagerly),
            (
                "Loading to-many",
                'Airport.objects.list({"faa": {"in": ["ANC", "HNL"]}}, load=("arrivals",))',
                prefetched,
            ),
            ("All flights, a few at a time", "for flight in Flight.objects.stream(): ...", streaming),
        ),
    ),
    (
        "Writing one row",
        (
            ("Adding", 'Plane.objects.add(Plane(tailnum="N2013X", …), user=…, reason="delivered")', adding),
            ("Updating", 'Plane.objects.update(plane, seats=F("seats") + 10, user=…)', updating),
            ("The second writer is told", "Plane.objects.update(mine, seats=999)", conflicting),
            ("Deleting is soft", 'Plane.objects.delete("N2013X", user=…, reason="sold")', deleting),
            ("Deleted rows on request", 'Plane.objects.get("N2013X", include_deleted=True)', including_deleted),
            ("Restoring", 'Plane.objects.restore("N2013X", user=…)', restoring),
            ("Django's save() takes the same path", "with operation_context(user=…): plane.save()", ambient),
            ("All of it is on record", "plane.history", remembering),
            ("Saved and read back", "Airline.objects.commit_and_refresh(airline)", refreshing),
        ),
    ),
    (
        "Writing many rows",
        (
            ("A slip of the keyboard", "Flight.objects.delete_all()", refusing),
            (
                "One statement for all",
                'Flight.objects.update_all({"carrier": "HA"}, departure_delay=F("departure_delay") + 1)',
                bulk_updating,
            ),
            (
                "Deleting the cancelled ones",
                'Flight.objects.delete_all({"departure_delay": {"is_null": True}}, user=…)',
                bulk_deleting,
            ),
            (
                "And bringing them back",
                'Flight.objects.restore_all({"departure_delay": {"is_null": True}})',
                bulk_restoring,
            ),
        ),
    ),
    (
        "In the places where Django code lives",
        (
            ("Related managers stay inside", 'airline.flights.count({"arrival_delay": {"lte": 0}})', relating),
            ("Locking", 'Airline.objects.get("B6", for_update=True)', locking),
            ("Async", "async for airline in Airline.objects.astream(): ...", asynchronously),
            ("Cached by key, and never stale", "Flight.objects.get(pk)", caching),
            ("Health", "manage.py repository_health", examining),
        ),
    ),
)
