"""The metrics of the client's multiprocess mode, whose scrape reads files and can ask nobody.

So every process writes down what happens when it does, with the client's own counters.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from django.db.models import Model

from ..caching.counters import Event
from ..operations import Operation, error_kind, outcome_of
from ..resilience.breakers import existing_breakers
from . import families
from .families import Family
from .labels import alias_label, model_label


class ToldMetrics:
    """Hears of what happens, and counts it.

    Of a rejected call that is one number. What was rejected without an operation, say a session, is written with the
    next rejection of one, or with the next change of the circuit's state.

    Args:
        make: makes a metric of the client's, registered.
    """

    def __init__(self, make: Callable[[Family], Any]) -> None:
        self._metrics = {family: make(family) for family in families.FAMILIES}
        self._children: dict[tuple[Family, tuple[str, ...]], Any] = {}
        self._begin()
        self._rejected: WeakKeyDictionary[Any, int] = WeakKeyDictionary()

    def _begin(self) -> None:
        self._lock = threading.RLock()
        self._running: set[Operation] = set()

    def after_fork(self) -> None:
        """A child has files of its own, and what ran or was rejected before is its parent's to count."""
        self._begin()
        self._children.clear()
        self._rejected = WeakKeyDictionary({breaker: breaker.rejected for breaker in existing_breakers().values()})

    def _child(self, family: Family, *labels: str) -> Any:
        # The client's own lookup by labels takes as long as counting.
        try:
            return self._children[family, labels]
        except KeyError:
            child = self._children[family, labels] = self._metrics[family].labels(*labels)
            return child

    def begun(self, operation: Operation) -> None:
        self._running.add(operation)
        self._child(families.IN_FLIGHT, alias_label(operation.spec.alias)).inc()

    def finished(self, operation: Operation) -> None:
        spec, error = operation.spec, operation.error
        name, model, alias = families.operation_labels(spec.name, spec.model, spec.alias)
        if operation in self._running:  # else it began before anybody counted
            self._running.discard(operation)
            self._child(families.IN_FLIGHT, alias).dec()
        kind = None if error is None else error_kind(error)
        outcome = outcome_of(kind)
        if (families.QUERIES, (name, model, alias, outcome)) not in self._children:
            self.show_circuits()  # among them those that this operation was the first to need
        self._child(families.QUERIES, name, model, alias, outcome).inc()
        self._child(families.SECONDS, name, model).observe(operation.duration)
        for reason in operation.retried_for:
            self._child(families.RETRIES, alias, reason).inc()
        if kind is not None:
            self._child(families.ERRORS, name, model, kind).inc()
        if kind == "commit_unknown":
            self._child(families.UNKNOWN, alias).inc()
        if kind == "circuit_open" or "circuit_open" in operation.retried_for:
            self._count_rejections(existing_breakers().get(spec.alias))

    def count_history(self, operation: Operation) -> None:
        """Count the history rows of an operation that is committed."""
        alias = alias_label(operation.spec.alias)
        for model, rows in operation.history_rows.items():
            self._child(families.HISTORY_ROWS, model_label(model), alias).inc(rows)

    def cache_asked(self, model: type[Model], event: Event) -> None:
        """Count what a read that asked a cache, or filled it, has come to."""
        family, labels = families.cache_labels(model, event)
        self._child(family, *labels).inc()

    def circuit_changed(self, alias: str, old: str, new: str, breaker: Any) -> None:
        """Count a change of a circuit's state, and show the state it is in."""
        self._child(families.TRANSITIONS, alias_label(alias), old, new).inc()
        self._show(breaker)

    def show_circuits(self) -> None:
        """Write down how the breakers of this process are."""
        for breaker in existing_breakers().values():
            self._show(breaker)

    def _show(self, breaker: Any) -> None:
        self._count_rejections(breaker)
        name, present = alias_label(breaker.alias), breaker.current_state
        if name == breaker.alias:  # the breakers behind "other" are in no state that they share
            for state in families.STATES:
                self._child(families.STATE, name, state).set(state == present)

    def _count_rejections(self, breaker: Any) -> None:
        if breaker is None:
            return
        with self._lock:
            before, now = self._rejected.get(breaker, 0), breaker.rejected
            self._rejected[breaker] = now
        self._child(families.REJECTIONS, alias_label(breaker.alias)).inc(now - before)
