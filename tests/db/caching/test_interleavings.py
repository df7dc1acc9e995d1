"""Every order of a reader's steps and a writer's, on the real code: what is acknowledged is what is read.

Reader and writer are threads with connections of their own. They stop before each step, and go on when the order says
so: the reader before it looks into the cache, before it makes tags, reads the database and fills the cache; the writer
before it locks, sends its statement, ends its transaction and locks again. At one more step all locks expire.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from typing import Any, NamedTuple

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from django_enterprise_repo.caching import protocol
from django_enterprise_repo.caching.compiled import KeyedRead
from django_enterprise_repo.caching.keys import row_keys, table_name
from django_enterprise_repo.caching.reads import CachedRead
from django_enterprise_repo.caching.store import Store
from tests.db.caching.conftest import expire_locks
from tests.db.caching.stepping import Actor, merges, step
from tests.testapp.models import Bare

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.exhaustive]

READER = ("look up", "make tags", "read database", "fill")
LOCK, STATEMENT, COMMIT, AGAIN, EXPIRE = "lock", "statement", "commit", "lock", "expire"
OLD, NEW, NEWER = 0, 1, 2
OURS = "django_enterprise_repo" in settings.DATABASES["default"]["ENGINE"]


class Rollback(Exception):
    """Nothing else raises it."""


@pytest.fixture(autouse=True)
def steps(monkeypatch):
    """Everybody stops before each of these."""

    def stop(owner: type, method: str, name: str) -> None:
        original = getattr(owner, method)

        def stopping(self: Any, *args: Any, **kwargs: Any) -> Any:
            step(name)
            return original(self, *args, **kwargs)

        monkeypatch.setattr(owner, method, stopping)

    stop(Store, "read", "look up")
    stop(Store, "add", "make tags")
    stop(KeyedRead, "fetch", "read database")
    stop(Store, "write", "fill")
    stop(Store, "lock", "lock")
    stop(BaseDatabaseWrapper, "_commit", "commit")
    stop(BaseDatabaseWrapper, "_rollback", "commit")


@pytest.fixture
def cache(everything_cached):
    return everything_cached


@pytest.fixture
def actors():
    actors = [Actor(name) for name in ("reader", "writer", "second writer")]
    for actor in actors:
        actor.begin(hurry)
    yield actors
    for actor in actors:
        actor.close()


def hurry() -> None:
    """No power fails here."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA synchronous = OFF")


# What writers do. Each stops before its statement by itself, as an ORM's statement can be stopped nowhere else.


def stopping_before_statements(write: Callable[[Any, int], None]) -> Callable[[Any, int], None]:
    def job(pk: Any, size: int = NEW) -> None:
        def execute(send: Any, sql: str, *rest: Any) -> Any:
            if sql.startswith(("UPDATE", "DELETE")):
                step("statement")
            return send(sql, *rest)

        with connection.execute_wrapper(execute):
            write(Bare(pk=pk), size)

    return job


def save(row: Any, size: int) -> None:
    row.size = size
    row.save(update_fields=["size"])


def save_in_a_transaction(row: Any, size: int) -> None:
    with transaction.atomic():
        save(row, size)


def update_of_unknown_rows(row: Any, size: int) -> None:
    assert Bare.objects.filter(pk__gte=row.pk, pk__lte=row.pk).update(size=size) == 1


def roll_back(row: Any, size: int) -> None:
    with suppress(Rollback), transaction.atomic():
        save(row, size)
        raise Rollback


def roll_back_to_a_savepoint(row: Any, size: int) -> None:
    with transaction.atomic():
        roll_back(row, size)


def delete(row: Any, size: int) -> None:
    row.delete()


class Scenario(NamedTuple):
    """What a writer does, the state it leaves the row in, and its steps with either kind of engine."""

    write: Callable[[Any, int], None]
    expected: int | None
    ours: tuple[str, ...]
    djangos: tuple[str, ...]


ALONE = (LOCK, STATEMENT, AGAIN)  # a statement outside a transaction commits by itself
AT_COMMIT = (STATEMENT, LOCK, COMMIT, AGAIN)
BEFORE = (LOCK, STATEMENT, COMMIT, AGAIN)
SCENARIOS = {
    "autocommit": Scenario(save, NEW, ALONE, ALONE),
    "transaction": Scenario(save_in_a_transaction, NEW, AT_COMMIT, BEFORE),
    "unknown rows": Scenario(update_of_unknown_rows, NEW, ALONE, ALONE),
    "rollback": Scenario(roll_back, OLD, (STATEMENT, COMMIT), (LOCK, STATEMENT, COMMIT)),
    "savepoint": Scenario(roll_back_to_a_savepoint, OLD, AT_COMMIT, (LOCK, STATEMENT, COMMIT)),
    "delete": Scenario(delete, None, AT_COMMIT, BEFORE),
}


# What is in the cache before.


def cold(cache: Any, pk: Any) -> None:
    cache.clear()


def tagged(cache: Any, pk: Any) -> None:
    """The row has tags and is not there."""
    warm(cache, pk)
    cache.delete(row_keys(table_name(Bare, connection), pk).value)


def warm(cache: Any, pk: Any) -> None:
    cache.clear()
    Bare.objects.get(pk)
    assert cache.has_key(row_keys(table_name(Bare, connection), pk).value)


STATES = [cold, tagged, warm]


class Check:
    """Runs orders and collects those in which somebody was told what was not so."""

    def __init__(self, cache: Any) -> None:
        self.cache = cache
        self.orders = 0
        self._rows = self._new_rows()
        self.stale: list[Any] = []

    @staticmethod
    def _new_rows() -> Iterator[Any]:
        """Keys of rows that nobody has touched."""
        for start in count(step=500):
            for row in Bare.objects.bulk_create([Bare(name=f"{start + n}", size=OLD) for n in range(500)]):
                yield row.pk

    def run(self, order: Any, state: Any, reader: Actor, writers: dict[Actor, Any], expected: tuple[Any, ...]) -> None:
        """Run one order of the steps; ``expected`` is what was true at some time, and last what is true in the end."""
        pk = next(self._rows)
        state(self.cache, pk)
        self.orders += 1
        reader.begin(lambda: size_of(pk))
        for writer, job in writers.items():
            writer.begin(lambda job=job: job(pk))
        actors = [reader, *writers]
        looked_after_all = None
        for number, name in order:
            if name == EXPIRE:
                expire_locks(self.cache)
                continue
            if number == 0 and name == "look up":
                looked_after_all = all(writer.waits_at is None for writer in writers)
            made = actors[number].advance(name)
            assert made or number == 0, f"{name} is no step of the writer, which waits at {actors[number].waits_at}"
        for writer in writers:
            assert writer.waits_at is None, f"a step of the writer is left: {writer.waits_at}"
            writer.finish()
        answer = reader.finish()
        at_once = size_of(pk)
        expire_locks(self.cache)
        later = [size_of(pk), size_of(pk)]
        assert self.cache.has_key(row_keys(table_name(Bare, connection), pk).value) or expected[-1] is None
        allowed = expected[-1:] if looked_after_all else expected
        if answer not in allowed or {at_once, *later} != {expected[-1]}:
            self.stale.append((order, state.__name__, answer, at_once, later))


def size_of(pk: Any) -> int | None:
    row = Bare.objects.get_or_none(pk)
    return None if row is None else row.size


def orders(steps: tuple[str, ...]) -> Any:
    """Every order of the reader's steps and these, after which the locks expire."""
    return merges(READER, (*steps, EXPIRE))


def late(steps: tuple[str, ...]) -> Any:
    """Every order in which the first lock has expired before the next step."""
    first = steps.index(LOCK) + 1
    return merges(READER, (*steps[:first], EXPIRE, *steps[first:]))


@pytest.mark.parametrize("name", SCENARIOS)
def test_what_is_acknowledged_is_what_is_read(name, cache, actors):
    scenario = SCENARIOS[name]
    steps = scenario.ours if OURS else scenario.djangos
    reader, writer, _ = actors
    job = stopping_before_statements(scenario.write)
    check = Check(cache)

    for state in STATES:
        for order in orders(steps):
            check.run(order, state, reader, {writer: job}, (OLD, scenario.expected))
    for order in late(steps) if AGAIN in steps[2:] else ():
        check.run(order, tagged, reader, {writer: job}, (OLD, scenario.expected))

    assert check.stale == []
    assert check.orders >= 3 * 35


def test_of_two_writers_the_last_one_is_read(cache, actors):
    reader, first, second = actors
    check = Check(cache)
    save_new, save_newer = (stopping_before_statements(save) for _ in range(2))

    for order in merges(READER[2:], ALONE, ALONE):
        last = [number for number, name in order if name == STATEMENT][-1]
        jobs = {first: save_new, second: lambda pk: save_newer(pk, NEWER)}
        between, at_last = (NEWER, NEW) if last == 1 else (NEW, NEWER)
        check.run(((0, "look up"), *order), tagged, reader, jobs, (OLD, between, at_last))

    assert check.orders == 560
    assert check.stale == []


# The same with a step left out: somebody has to be told what was not so.


def test_control_without_the_second_lock(cache, actors, monkeypatch):
    lock = Store.lock
    reader, writer, _ = actors
    scenario = SCENARIOS["transaction"]
    steps = scenario.ours if OURS else scenario.djangos
    locked: list[Any] = []

    def lock_once(self: Store, keys: Any) -> bool:
        locked.append(keys)
        if len(locked) % 2:
            return lock(self, keys)
        step("lock")
        return True

    monkeypatch.setattr(Store, "lock", lock_once)
    check = Check(cache)
    for order in late(steps):
        locked.clear()
        check.run(order, tagged, reader, {writer: stopping_before_statements(scenario.write)}, (OLD, NEW))

    assert check.stale


def test_control_with_tags_of_after_the_read(cache, actors, monkeypatch):
    fill = CachedRead.fill
    reader, writer, _ = actors
    scenario = SCENARIOS["transaction"]

    def fill_with_tags_of_now(self: CachedRead, values: Any) -> None:
        self._tags = protocol.look_up(self.store, self.keys).tags or None
        fill(self, values)

    monkeypatch.setattr(CachedRead, "fill", fill_with_tags_of_now)
    check = Check(cache)
    for order in orders(scenario.ours if OURS else scenario.djangos):
        check.run(order, tagged, reader, {writer: stopping_before_statements(scenario.write)}, (OLD, NEW))

    assert check.stale
