"""How the calls of the last seconds went."""

from __future__ import annotations

import math
from collections import deque
from typing import Literal, NamedTuple

Outcome = Literal["success", "failure", "slow"]


class WindowCounts(NamedTuple):
    """Calls in a window, and how many of them failed or were slow."""

    calls: int = 0
    failures: int = 0
    slow: int = 0


class RollingWindow:
    """Counts of outcomes over the last ``span`` seconds, in buckets of one second.

    A bucket counts as long as any part of its second lies within the span. Times come from the caller, from one clock
    that never goes back. Everything but :meth:`count_success` wants the caller's lock.
    """

    __slots__ = ("_buckets", "_current", "_span")

    def __init__(self, span: float) -> None:
        self._span = span
        self._current = _Bucket(-math.inf)
        self._buckets: deque[_Bucket] = deque()

    def count_success(self, now: float) -> bool:
        """Count a success without a lock, and say whether that could be done: there must be a bucket of this second.

        Only successes are counted here and no bucket is made or dropped, so nothing of a failure can be lost. Without
        a global interpreter lock two threads may count one success for two, which makes ratios too high by as little.
        """
        bucket = self._current
        if now >= bucket.end:
            return False
        bucket.successes += 1
        return True

    def count(self, outcome: Outcome, now: float) -> None:
        bucket = self._current
        if now >= bucket.end:
            bucket = self._current = _Bucket(math.floor(now) + 1.0)
            self._forget(now)
            self._buckets.append(bucket)
        if outcome == "failure":
            bucket.failures += 1
        elif outcome == "slow":
            bucket.slow += 1
        else:
            bucket.successes += 1

    def counts(self, now: float) -> WindowCounts:
        """What happened within the span before ``now``."""
        self._forget(now)
        failures = sum(bucket.failures for bucket in self._buckets)
        slow = sum(bucket.slow for bucket in self._buckets)
        return WindowCounts(failures + slow + sum(bucket.successes for bucket in self._buckets), failures, slow)

    def _forget(self, now: float) -> None:
        while self._buckets and self._buckets[0].end <= now - self._span:
            self._buckets.popleft()


class _Bucket:
    __slots__ = ("end", "failures", "slow", "successes")

    def __init__(self, end: float) -> None:
        self.end = end
        self.successes = self.failures = self.slow = 0
