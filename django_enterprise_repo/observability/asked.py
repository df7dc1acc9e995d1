"""The metrics of a process that can be asked: a scrape looks at what the package counts anyway."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import Any

from ..caching.counters import cache_counts
from ..operations import BUCKETS, counts, outcome_of
from ..resilience.breakers import existing_breakers
from . import families
from .families import Family
from .labels import alias_label, model_label

_BOUNDS = (*map(float, BUCKETS), "+Inf")


class AskedMetrics:
    """A collector for a registry of prometheus-client. No call pays for it.

    Args:
        make: makes a metric of the client's without samples.
    """

    def __init__(self, make: Callable[[Family], Any]) -> None:
        self._make = make
        self._transitions: Counter[tuple[str, ...]] = Counter()
        self.after_fork()

    def after_fork(self) -> None:
        self._lock = threading.RLock()

    def circuit_changed(self, alias: str, old: str, new: str, breaker: Any) -> None:
        """Count a change of a circuit's state, which nobody else does."""
        with self._lock:
            self._transitions[alias_label(alias), old, new] += 1

    def describe(self) -> Iterable[Any]:
        """All metrics without samples: how the registry learns the names."""
        return [self._make(family) for family in families.FAMILIES]

    def collect(self) -> Iterable[Any]:
        """All metrics with what was counted until now."""
        samples = _Samples()
        samples.add_operations()
        samples.add_caches()
        samples.add_circuits()
        with self._lock:
            samples.numbers[families.TRANSITIONS].update(self._transitions)
        for family in families.FAMILIES:
            metric = self._make(family)
            if family is families.SECONDS:
                samples.write_seconds(metric)
            else:
                for labels, number in samples.numbers[family].items():
                    metric.add_metric(labels, number)
            yield metric


class _Samples:
    """What is counted, added up by the values of the labels, which are shared beyond their limits."""

    def __init__(self) -> None:
        self.numbers: defaultdict[Family, Counter[tuple[str, ...]]] = defaultdict(Counter)
        self._seconds: defaultdict[tuple[str, ...], float] = defaultdict(float)
        self._buckets: dict[tuple[str, ...], list[int]] = {}

    def add_operations(self) -> None:
        for key, tally in counts.tallies().items():
            operation, model, alias = families.operation_labels(key.name, key.model, key.alias)
            number = tally.number
            self.numbers[families.QUERIES][operation, model, alias, outcome_of(key.kind)] += number
            if key.kind is not None:
                self.numbers[families.ERRORS][operation, model, key.kind] += number
            if key.kind == "commit_unknown":
                self.numbers[families.UNKNOWN][alias,] += number
            for reason, retries in tally.retried_for.items():
                self.numbers[families.RETRIES][alias, reason] += retries
            self._seconds[operation, model] += tally.seconds
            before = self._buckets.get((operation, model), [0] * len(tally.buckets))
            self._buckets[operation, model] = [sum(pair) for pair in zip(before, tally.buckets, strict=True)]
        for alias, running in counts.running().items():
            self.numbers[families.IN_FLIGHT][alias_label(alias),] += running
        for (recorded, alias), rows in counts.history().items():
            self.numbers[families.HISTORY_ROWS][model_label(recorded), alias_label(alias)] += rows

    def write_seconds(self, metric: Any) -> None:
        for labels, buckets in self._buckets.items():
            bounds = zip(map(str, _BOUNDS), accumulate(buckets), strict=True)
            metric.add_metric(labels, list(bounds), self._seconds[labels])

    def add_caches(self) -> None:
        for (model, event), number in cache_counts.all().items():
            family, labels = families.cache_labels(model, event)
            self.numbers[family][labels] += number

    def add_circuits(self) -> None:
        for alias, breaker in existing_breakers().items():
            name = alias_label(alias)
            self.numbers[families.REJECTIONS][name,] += breaker.rejected
            if name == alias:  # the breakers behind "other" are in no state that they share
                present = breaker.current_state
                for state in families.STATES:
                    self.numbers[families.STATE][name, state] = int(state == present)
