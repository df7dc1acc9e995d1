"""What became of the operations of this process: behind ``repository.metrics()``, and what a scrape looks at."""

from __future__ import annotations

import os
import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from django.db.models import Model

from .operation import Operation
from .outcomes import error_kind, outcome_of

#: Upper bounds in seconds. Below the usual ones, which start at 5 ms: a read by primary key takes less than one.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 10)


_NONE: Mapping[str, int] = MappingProxyType({})


class OperationCounts(NamedTuple):
    """The operations of one model that this process has finished so far. Names without a count are missing.

    Attributes:
        operations: how many by verb or queryset method.
        outcomes: how many by ``"ok"``, ``"refused"``, ``"failed"``, ``"rejected"`` and ``"cancelled"``.
        errors: how many that ended in an error, by its kind.
        retries: attempts after the first.
        seconds: how long they took together.
        history_rows: how many rows of the model's history the write path has written and committed, whichever model
            the operation was on.
    """

    operations: Mapping[str, int] = _NONE
    outcomes: Mapping[str, int] = _NONE
    errors: Mapping[str, int] = _NONE
    retries: int = 0
    seconds: float = 0.0
    history_rows: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.operations.values())


class Key(NamedTuple):
    """What is counted together; ``kind`` is that of the error, ``None`` of a success."""

    model: type[Model]
    name: str
    alias: str
    kind: str | None


class Tally:
    """Operations of one key.

    Attributes:
        seconds: how long they took together.
        buckets: how many took no longer than each of :data:`BUCKETS` and longer than the one before; last, the others.
        retried_for: how many more attempts followed each kind of failure.
    """

    __slots__ = ("buckets", "retried_for", "seconds")

    def __init__(self) -> None:
        self.seconds = 0.0
        self.buckets = [0] * (len(BUCKETS) + 1)
        self.retried_for: Counter[str] = Counter()

    def copy(self) -> Tally:
        made = Tally()
        made.seconds, made.buckets, made.retried_for = self.seconds, self.buckets.copy(), self.retried_for.copy()
        return made

    @property
    def number(self) -> int:
        return sum(self.buckets)


class Counts:
    """Counts operations; safe to be used by many threads."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Nothing counted and a new lock: for tests, and for the child of a fork."""
        # Re-entrant: a finalizer may run at any line, and use the database.
        self._lock = threading.RLock()
        self._running: dict[str, set[Operation]] = {}
        self._tallies: dict[tuple[type[Model], str, str, str | None], Tally] = {}  # plain tuples are quicker to make
        self._history: Counter[tuple[type[Model], str]] = Counter()

    def begun(self, operation: Operation) -> None:
        """Count an operation that begins."""
        alias = operation.spec.alias
        try:
            self._running[alias].add(operation)
        except KeyError:
            self._running.setdefault(alias, set()).add(operation)

    def finished(self, operation: Operation) -> None:
        """Count an operation that has finished."""
        spec, error, seconds = operation.spec, operation.error, operation.duration or 0.0
        running = self._running.get(spec.alias)
        if running is not None:  # else it began before anybody counted
            running.discard(operation)
        key = (spec.model, spec.name, spec.alias, None if error is None else error_kind(error))
        with self._lock:
            tally = self._tallies.get(key)
            if tally is None:
                tally = self._tallies[key] = Tally()
            tally.seconds += seconds
            tally.buckets[bisect_left(BUCKETS, seconds)] += 1
            if operation.retried_for:
                tally.retried_for.update(operation.retried_for)

    def count_history(self, operation: Operation) -> None:
        """Count the history rows of an operation that is committed."""
        alias = operation.spec.alias
        with self._lock:
            for model, rows in operation.history_rows.items():
                self._history[model, alias] += rows

    def running(self) -> Mapping[str, int]:
        """How many operations are running, by alias."""
        return {alias: len(running) for alias, running in self._running.copy().items()}

    def tallies(self) -> Mapping[Key, Tally]:
        """A copy of all that was counted, in the order of the first of each."""
        with self._lock:
            items = list(self._tallies.items())
        return {Key(*key): self._copy(tally) for key, tally in items}

    def _copy(self, tally: Tally) -> Tally:
        with self._lock:  # one by one: of thousands the copies take long enough for an operation to notice
            return tally.copy()

    def history(self) -> Mapping[tuple[type[Model], str], int]:
        """A copy of the numbers of history rows, by model and alias."""
        with self._lock:
            return self._history.copy()

    def of(self, model: type[Model]) -> OperationCounts:
        """What was counted for ``model``."""
        operations: Counter[str] = Counter()
        outcomes: Counter[str] = Counter()
        errors: Counter[str] = Counter()
        retries, seconds = 0, 0.0
        for key, tally in self.tallies().items():
            if key.model is not model:
                continue
            operations[key.name] += tally.number
            outcomes[outcome_of(key.kind)] += tally.number
            if key.kind is not None:
                errors[key.kind] += tally.number
            retries += tally.retried_for.total()
            seconds += tally.seconds
        return OperationCounts(
            operations=_frozen(operations),
            outcomes=_frozen(outcomes),
            errors=_frozen(errors),
            retries=retries,
            seconds=seconds,
            history_rows=sum(rows for (counted, _), rows in self.history().items() if counted is model),
        )


def _frozen(counted: Mapping[str, int]) -> Mapping[str, Any]:
    return MappingProxyType(dict(sorted(counted.items())))


#: The counts of this process.
counts = Counts()
os.register_at_fork(after_in_child=counts.reset)
