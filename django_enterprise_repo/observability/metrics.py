"""The metrics for Prometheus, in the default registry of prometheus-client: the only module that imports it.

Nothing is imported and nothing registered before the first operation begins or somebody asks for the metrics. Every
label comes from a closed set, or is cut off at a limit: no value of a row, no message, no user.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from django.db.models import Model

from ..caching.counters import Event
from ..operations import OPERATIONS, Operation, error_kind, outcome_of
from .circuits import AskedCircuits, CircuitMetrics, ToldCircuits
from .labels import alias_label, model_label

#: Seconds. Below the client's own, which start at 5 ms: a read by primary key takes less than one.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 10)
_FILLS = frozenset({"filled", "unfillable"})


def begun(operation: Operation) -> None:
    """Count an operation that begins."""
    (_made or _register()).begun(operation)


def finished(operation: Operation) -> None:
    """Count an operation that has finished."""
    (_made or _register()).finished(operation)


def count_history(operation: Operation) -> None:
    """Count the history rows of an operation that is committed."""
    registered().count_history(operation)


def circuit_changed(alias: str, old: str, new: str, breaker: Any) -> None:
    """Count a change of a circuit's state, and show the state it is in."""
    registered().circuit_changed(alias, old, new, breaker)


def cache_asked(model: type[Model], event: Event) -> None:
    """Count what a read that asked a cache, or filled it, has come to."""
    (_made or _register()).cache_asked(model, event)


def exposition(accept: str) -> tuple[bytes, str]:
    """All metrics of the default registry, and the media type they are in.

    OpenMetrics where ``accept``, the header of the request, names it, and Prometheus' text format otherwise. In the
    client's multiprocess mode the metrics of all processes.
    """
    from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
    from prometheus_client.multiprocess import MultiProcessCollector
    from prometheus_client.openmetrics import exposition as openmetrics

    registered().show_breakers()
    registry: Any = REGISTRY
    if _is_multiprocess():
        registry = CollectorRegistry()
        collect: Any = MultiProcessCollector
        collect(registry)
    # Not by the client's choose_encoder(), which raises for versions that are no numbers.
    accepted = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    if "application/openmetrics-text" in accepted:
        write: Any = openmetrics.generate_latest
        return write(registry), openmetrics.CONTENT_TYPE_LATEST
    write = generate_latest
    return write(registry), "text/plain; version=0.0.4; charset=utf-8"


def _is_multiprocess() -> bool:
    """Whether the client writes its numbers into files, which the scrape of any process reads."""
    return "PROMETHEUS_MULTIPROC_DIR" in os.environ


_STATE = ("circuit_breaker_state", "1 for the state a circuit is in.", "breaker", "state")
_REJECTIONS = ("circuit_breaker_rejections", "Calls that an open circuit rejected.", "breaker")


def _circuit_families() -> tuple[Any, Any]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    def family(kind: Any, name: str, text: str, *labels: str) -> Any:
        return kind(f"repository_{name}", text, labels=labels)

    return family(GaugeMetricFamily, *_STATE), family(CounterMetricFamily, *_REJECTIONS)


class _Series(NamedTuple):
    """The children that an operation counts in. Looking them up by labels takes as long as counting.

    Attributes:
        queries, seconds: of those that succeed.
        failures: of those that end in an error, the queries and the errors by its kind.
    """

    queries: Any
    seconds: Any
    failures: dict[str, tuple[Any, Any]]


class _Running:
    """The operations on one database that have begun and not finished."""

    add: Callable[[Operation], None]
    discard: Callable[[Operation], None]

    def __init__(self, gauge: Any) -> None:
        self._operations: set[Operation] = set()
        if _is_multiprocess():
            self._gauge = gauge
            self.add, self.discard = self._add, self._discard
        else:
            # Asked for when somebody looks: that saves every operation two thirds of the counting.
            gauge.set_function(lambda: len(self._operations))
            self.add, self.discard = self._operations.add, self._operations.discard

    def _add(self, operation: Operation) -> None:
        self._operations.add(operation)
        self._gauge.inc()

    def _discard(self, operation: Operation) -> None:
        if operation in self._operations:
            self._operations.discard(operation)
            self._gauge.dec()


class Metrics:
    """The metrics, registered in ``registry``."""

    def __init__(self, registry: Any) -> None:
        from prometheus_client import Counter, Gauge, Histogram

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"repository_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            # The sum over the processes that live: so many are in this state, so many operations are running.
            return Gauge(f"repository_{name}", text, labels, registry=registry, multiprocess_mode="livesum")

        self._queries = counter("queries", "Operations finished.", "operation", "model", "alias", "outcome")
        self._seconds = Histogram(
            "repository_query_duration_seconds",
            "How long operations took, retries and waits included.",
            ("operation", "model"),
            registry=registry,
            buckets=BUCKETS,
        )
        self._errors = counter("errors", "Operations that ended in an error.", "operation", "model", "kind")
        self._history_rows = counter("history_rows", "History rows that were written and committed.", "model", "alias")
        self._cache_hits = counter("cache_hits", "Reads that the cache answered.", "model")
        self._cache_misses = counter("cache_misses", "Reads that the cache did not answer.", "model", "event")
        self._cache_fills = counter("cache_fills", "Rows that were to be cached.", "model", "event")
        self._retries = counter("retries", "Attempts after a failed one, by its kind.", "alias", "reason")
        self._unknown = counter("commit_unknown", "Commits of which nobody knows whether they took effect.", "alias")
        self._in_flight = gauge("operations_in_flight", "Operations that are running.", "alias")
        self._transitions = counter(
            "circuit_breaker_transitions", "Changes of a circuit's state.", "breaker", "from", "to"
        )
        self._circuits: CircuitMetrics
        if _is_multiprocess():
            self._circuits = ToldCircuits(gauge(*_STATE), counter(*_REJECTIONS))
        else:
            self._circuits = collector = AskedCircuits(_circuit_families)
            registry.register(collector)
        self._series: dict[tuple[str, type[Model], str], _Series] = {}
        self._running: dict[str, _Running] = {}
        self._cache_series: dict[tuple[type[Model], Event], Any] = {}
        self._lock = threading.RLock()

    def after_fork(self) -> None:
        """In the multiprocess mode a child has files of its own, in which it has to show its breakers anew."""
        self._lock = threading.RLock()
        self._series.clear()
        self._running.clear()
        self._cache_series.clear()
        self._circuits.after_fork()

    def begun(self, operation: Operation) -> None:
        alias = operation.spec.alias
        (self._running.get(alias) or self._make_running(alias)).add(operation)

    def finished(self, operation: Operation) -> None:
        spec = operation.spec
        running = self._running.get(spec.alias)
        if running is not None:  # else it began before anybody counted
            running.discard(operation)
        series = self._series.get((spec.name, spec.model, spec.alias)) or self._make_series(operation)
        if operation.error is None:
            series.queries.inc()
        else:
            self._failed(operation, series, error_kind(operation.error))
        series.seconds.observe(operation.duration)
        if operation.retried_for:
            self._retried(operation)

    def _make_running(self, alias: str) -> _Running:
        label = alias_label(alias)
        with self._lock:
            if label not in self._running:
                self._running[label] = _Running(self._in_flight.labels(label))
            self._running[alias] = self._running[label]
            return self._running[alias]

    def _make_series(self, operation: Operation) -> _Series:
        spec = operation.spec
        name, model, alias = _names(operation)
        found = _Series(self._queries.labels(name, model, alias, "ok"), self._seconds.labels(name, model), {})
        self._series[spec.name, spec.model, spec.alias] = found
        self.show_breakers()
        return found

    def _failed(self, operation: Operation, series: _Series, kind: str) -> None:
        for counter in series.failures.get(kind) or self._make_failures(operation, series, kind):
            counter.inc()
        if kind == "commit_unknown":
            self._unknown.labels(alias_label(operation.spec.alias)).inc()
        elif kind == "circuit_open":
            self._circuits.rejected(operation.spec.alias)

    def _make_failures(self, operation: Operation, series: _Series, kind: str) -> tuple[Any, Any]:
        name, model, alias = _names(operation)
        queries = self._queries.labels(name, model, alias, outcome_of(kind))
        series.failures[kind] = found = queries, self._errors.labels(name, model, kind)
        return found

    def _retried(self, operation: Operation) -> None:
        alias = alias_label(operation.spec.alias)
        for reason in operation.retried_for:
            self._retries.labels(alias, reason).inc()
        if "circuit_open" in operation.retried_for:
            self._circuits.rejected(operation.spec.alias)

    def circuit_changed(self, alias: str, old: str, new: str, breaker: Any) -> None:
        self._transitions.labels(alias_label(alias), old, new).inc()
        self._circuits.changed(breaker)

    def show_breakers(self) -> None:
        """Write down how the breakers are, where a scrape doesn't ask them."""
        self._circuits.show()

    def count_history(self, operation: Operation) -> None:
        alias = alias_label(operation.spec.alias)
        for model, rows in operation.history_rows.items():
            self._history_rows.labels(model_label(model), alias).inc(rows)

    def cache_asked(self, model: type[Model], event: Event) -> None:
        (self._cache_series.get((model, event)) or self._make_cache_series(model, event)).inc()

    def _make_cache_series(self, model: type[Model], event: Event) -> Any:
        if event == "hit":
            series = self._cache_hits.labels(model_label(model))
        else:
            counter = self._cache_fills if event in _FILLS else self._cache_misses
            series = counter.labels(model_label(model), event)
        self._cache_series[model, event] = series
        return series


def _names(operation: Operation) -> tuple[str, str, str]:
    spec = operation.spec
    return spec.name if spec.name in OPERATIONS else "other", model_label(spec.model), alias_label(spec.alias)


_registering = threading.RLock()
_made: Metrics | None = None


def registered() -> Metrics:
    """The metrics of this process, made and registered when first asked for.

    Raises:
        ImportError: prometheus-client is not installed.
        ValueError: something else has registered metrics of these names.
    """
    return _made or _register()


def _register() -> Metrics:
    global _made
    from prometheus_client import REGISTRY

    with _registering:
        if _made is None:
            _made = Metrics(REGISTRY)
        return _made


def _after_fork() -> None:
    global _registering
    _registering = threading.RLock()
    if _made is not None:
        _made.after_fork()


os.register_at_fork(after_in_child=_after_fork)
