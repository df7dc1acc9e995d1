"""What the guard costs: an operation scope and an engine of ours against Django's engine and none."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

import pybreaker
from django.db import connection, connections
from django.db.models import FloatField, Func, QuerySet

from django_enterprise_repo.exceptions import CircuitOpenError
from django_enterprise_repo.resilience.breakers import breaker

from .measuring import Pair
from .models import Trailed

THREADS, QUERIES, SECONDS = 8, 10, 0.02


def pairs() -> Iterator[Pair]:
    """The alias ``django`` is the same database through Django's own engine."""
    row = Trailed.objects.create(name="a", code="a", group=1)
    by_hand = QuerySet(Trailed, using="django")
    guarded = QuerySet(Trailed)
    yield Pair(
        name="get(pk=…) of a repository, guarded : Django's",
        ours=lambda: Trailed.objects.get(pk=row.pk),
        theirs=lambda: by_hand.get(pk=row.pk),
        target=1.04,
        rounds=200,
    )
    yield Pair(
        name="for comparison: Django's get(pk=…), engine of ours : Django's",
        ours=lambda: guarded.get(pk=row.pk),
        theirs=lambda: by_hand.get(pk=row.pk),
        target=1.04,
        rounds=200,
    )
    yield Pair(
        name="get(pk) rejected by an open circuit : Django's get(pk=…)",
        ours=lambda: _rejected(row.pk),
        theirs=lambda: by_hand.get(pk=row.pk),
        target=0.1,
        rounds=100,
        around=_isolated,
    )
    if connection.vendor == "postgresql":
        yield from _throughput()


def _rejected(pk: Any) -> None:
    try:
        Trailed.objects.get(pk)
    except CircuitOpenError:
        return
    raise AssertionError("the circuit is not open")


@contextmanager
def _isolated() -> Iterator[None]:
    logging.disable()  # the circuit is opened for every sample, and would say so
    breaker("default").isolate()
    try:
        yield
    finally:
        breaker("default").release()
        logging.disable(logging.NOTSET)


class Nap(Func):
    """``pg_sleep`` as a number."""

    output_field = FloatField()
    template = f"(SELECT 1.0 FROM pg_sleep({SECONDS}))"


def _throughput() -> Iterator[Pair]:
    """Threads that wait for the database at the same time, each with a connection of its own."""
    theirs = pybreaker.CircuitBreaker()

    def guarded() -> None:
        Trailed.objects.values_list(Nap())[:1].get()

    def by_hand() -> None:
        QuerySet(Trailed, using="django").values_list(Nap())[:1].get()

    with _crew() as together:
        yield Pair(
            name=f"{THREADS} threads of {SECONDS} s queries, guarded : without",
            ours=lambda: together(guarded),
            theirs=lambda: together(by_hand),
            target=1 / 0.95,
            rounds=40,
            once=True,
        )
        yield Pair(
            name="for comparison: the same, guarded : inside pybreaker's call()",
            ours=lambda: together(guarded),
            theirs=lambda: together(lambda: theirs.call(by_hand)),
            target=1.0,
            rounds=5,
            once=True,
        )


@contextmanager
def _crew() -> Iterator[Callable[[Callable[[], None]], None]]:
    """Threads that stay, and with them their connections."""
    work: SimpleQueue[Any] = SimpleQueue()
    done: SimpleQueue[Any] = SimpleQueue()

    def serve() -> None:
        while (action := work.get()) is not None:
            try:
                for _ in range(QUERIES):
                    action()
                done.put(None)
            except BaseException as error:  # noqa: BLE001  # raised by whoever waits
                done.put(error)
        connections.close_all()

    def together(action: Callable[[], None]) -> None:
        for _ in threads:
            work.put(action)
        for error in [done.get() for _ in threads]:
            if error is not None:
                raise error

    threads = [threading.Thread(target=serve, daemon=True) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    try:
        yield together
    finally:
        for _ in threads:
            work.put(None)
        for thread in threads:
            thread.join()
