"""What became of the reads that asked a cache: behind ``repository.cache_info()``, and what a scrape looks at."""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from django.db.models import Model

logger = logging.getLogger("django_enterprise_repo.cache")

#: What a look into the cache, or the attempt to fill it, can come to.
Event = Literal["hit", "miss", "locked", "down", "unreadable", "bypassed", "filled", "unfillable"]


class CacheInfo(NamedTuple):
    """What became of the reads of one model by its key in this process so far.

    Attributes:
        hit: answered by the cache.
        miss: the cache had nothing, or something older than the last write.
        locked: the row, or its whole model, is being written or was written a moment ago.
        down: the cache did not answer, or is left alone since it did not.
        unreadable: the cache had something that this project did not put there, or in another version of the schema.
        bypassed: nobody asked it: a transaction that has written, a snapshot, a replica.
        filled: rows put into the cache.
        unfillable: rows that hold a value which the cache cannot keep exactly, or that it would not take.
    """

    hit: int = 0
    miss: int = 0
    locked: int = 0
    down: int = 0
    unreadable: int = 0
    bypassed: int = 0
    filled: int = 0
    unfillable: int = 0

    @property
    def hit_ratio(self) -> float | None:
        """The part of the reads that the cache has answered; ``None`` before the first one."""
        reads = self.hit + self.miss + self.locked + self.down + self.unreadable + self.bypassed
        return self.hit / reads if reads else None


class CacheCounts:
    """Counts events; safe to be used by many threads."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Nothing counted and a new lock: for tests, and for the child of a fork."""
        self._lock = threading.RLock()
        self._counts: Counter[tuple[type[Model], Event]] = Counter()

    def count(self, model: type[Model], event: Event) -> None:
        with self._lock:
            self._counts[model, event] += 1
        if _report is not None:
            _report(model, event)
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("cache_asked", extra={"model": model._meta.label, "cache_event": event})

    def all(self) -> Mapping[tuple[type[Model], Event], int]:
        """A copy of all numbers."""
        with self._lock:
            return self._counts.copy()

    def of(self, model: type[Model]) -> CacheInfo:
        """What was counted for ``model``."""
        return CacheInfo(**{event: number for (counted, event), number in self.all().items() if counted is model})


_report: Callable[[type[Model], Event], None] | None = None


def report_to(report: Callable[[type[Model], Event], None] | None) -> None:
    """Let this one hear of every event; it must neither raise nor wait."""
    global _report
    _report = report


#: The counts of this process.
cache_counts = CacheCounts()
os.register_at_fork(after_in_child=cache_counts.reset)
