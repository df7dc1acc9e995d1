"""How many retries a process may make: a share of its calls, so that retries never multiply an outage."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable

#: Retries a process may make for each call, in the long run.
RATIO = 0.1
#: Retries that are always possible again after a quiet second, so that a process with few calls retries too.
PER_SECOND = 1.0
#: Most retries that may be saved up, and what a process starts with.
MOST = 20.0


class RetryBudget:
    """A bucket of tokens. Calls and time fill it, retries empty it; thread-safe and never blocking."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """A full bucket and a new lock: for tests, and for the child of a fork."""
        self._lock = threading.Lock()
        self._calls = itertools.count(1)
        self._seen = 0
        self._tokens = MOST
        self._filled_at = self._clock()
        #: What every call does to be counted. Counting up is atomic, so no call waits for another.
        self.count_call: Callable[[], int] = self._calls.__next__

    def take(self) -> bool:
        """Whether one more retry is within the budget; it is used up by the question."""
        with self._lock:
            self._fill()
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True

    def _fill(self) -> None:
        now, calls = self._clock(), self.count_call() - 1  # the question itself is no call
        earned = (calls - self._seen) * RATIO + (now - self._filled_at) * PER_SECOND
        self._tokens = min(MOST, self._tokens + earned)
        self._seen, self._filled_at = calls + 1, now


#: The budget of this process.
budget = RetryBudget()
os.register_at_fork(after_in_child=budget.reset)
