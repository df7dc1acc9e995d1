"""What became of the operations of this process, counted by model: behind ``repository.metrics()``."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from django.db.models import Model

from .operation import Operation
from .outcomes import error_kind, outcome_of


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationCounts:
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

    operations: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    outcomes: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    errors: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    retries: int = 0
    seconds: float = 0.0
    history_rows: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.operations.values())


class _Row:
    """Operations of one model and name that ended the same way."""

    __slots__ = ("number", "retries", "seconds")

    def __init__(self) -> None:
        self.number = self.retries = 0
        self.seconds = 0.0


class Counts:
    """Counts operations; safe to be used by many threads."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Nothing counted and a new lock: for tests, and for the child of a fork."""
        # Re-entrant: a finalizer may run at any line, and use the database.
        self._lock = threading.RLock()
        self._rows: dict[tuple[type[Model], str, str | None], _Row] = {}
        self._history: Counter[type[Model]] = Counter()

    def count(self, operation: Operation) -> None:
        """Count an operation that has finished."""
        spec = operation.spec
        key = (spec.model, spec.name, None if operation.error is None else error_kind(operation.error))
        with self._lock:
            row = self._rows.get(key)
            if row is None:
                row = self._rows[key] = _Row()
            row.number += 1
            row.seconds += operation.duration or 0.0
            row.retries += operation.attempts - 1

    def count_history(self, operation: Operation) -> None:
        """Count the history rows of an operation that is committed."""
        with self._lock:
            self._history.update(operation.history_rows)

    def of(self, model: type[Model]) -> OperationCounts:
        """What was counted for ``model``."""
        operations: Counter[str] = Counter()
        outcomes: Counter[str] = Counter()
        errors: Counter[str] = Counter()
        retries, seconds = 0, 0.0
        with self._lock:
            for (counted, name, kind), row in self._rows.items():
                if counted is not model:
                    continue
                operations[name] += row.number
                outcomes[outcome_of(kind)] += row.number
                if kind is not None:
                    errors[kind] += row.number
                retries += row.retries
                seconds += row.seconds
            history_rows = self._history[model]
        return OperationCounts(
            operations=_frozen(operations),
            outcomes=_frozen(outcomes),
            errors=_frozen(errors),
            retries=retries,
            seconds=seconds,
            history_rows=history_rows,
        )


def _frozen(counted: Mapping[str, int]) -> Mapping[str, Any]:
    return MappingProxyType(dict(sorted(counted.items())))


#: The counts of this process.
counts = Counts()
os.register_at_fork(after_in_child=counts.reset)
