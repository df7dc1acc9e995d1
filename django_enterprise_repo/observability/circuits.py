"""The circuit breakers as metrics: asked when somebody looks, or told where nobody can ask."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from ..resilience.breakers import existing_breakers
from .labels import alias_label

STATES = ("closed", "half-open", "open")


class CircuitMetrics(Protocol):
    """The state that each circuit is in, and how many calls it has rejected."""

    def changed(self, breaker: Any) -> None:
        """A circuit has changed its state."""

    def rejected(self, alias: str) -> None:
        """The circuit of ``alias`` has rejected an operation."""

    def show(self) -> None:
        """Somebody is about to look."""

    def after_fork(self) -> None:
        """Go on in a child process."""


class AskedCircuits:
    """A collector that looks at the breakers when it is asked, so that no call pays for it.

    Args:
        families: makes the two metrics, without samples.
    """

    def __init__(self, families: Callable[[], tuple[Any, Any]]) -> None:
        #: How the registry learns the names.
        self.describe = families

    def collect(self) -> tuple[Any, Any]:
        state, rejections = self.describe()
        rejected: Counter[str] = Counter()
        for alias, breaker in existing_breakers().items():
            name = alias_label(alias)
            rejected[name] += breaker.rejected
            if name == alias:  # the breakers behind "other" are in no state that they share
                present = breaker.current_state
                for one in STATES:
                    state.add_metric((name, one), float(one == present))
        for name, number in rejected.items():
            rejections.add_metric((name,), number)
        return state, rejections

    def changed(self, breaker: Any) -> None: ...

    def rejected(self, alias: str) -> None: ...

    def show(self) -> None: ...

    def after_fork(self) -> None: ...


class ToldCircuits:
    """For the multiprocess mode, whose scrape reads files and asks nobody: what changes is written when it does.

    Of a rejection that is one number. What was rejected without an operation, say a session, is written with the next
    rejection of one, or with the next change of the state.

    Args:
        state: a gauge by breaker and state.
        rejections: a counter by breaker.
    """

    def __init__(self, state: Any, rejections: Any) -> None:
        self._state, self._rejections = state, rejections
        self._counted: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
        self._lock = threading.RLock()

    def after_fork(self) -> None:
        """A child has files of its own, and what was rejected before is its parent's to count."""
        self._lock = threading.RLock()
        self._counted = WeakKeyDictionary({breaker: breaker.rejected for breaker in existing_breakers().values()})

    def changed(self, breaker: Any) -> None:
        self._count(breaker)
        name, present = alias_label(breaker.alias), breaker.current_state
        if name == breaker.alias:  # as above
            for one in STATES:
                self._state.labels(name, one).set(one == present)

    def rejected(self, alias: str) -> None:
        breaker = existing_breakers().get(alias)
        if breaker is not None:
            self._count(breaker)

    def _count(self, breaker: Any) -> None:
        with self._lock:
            before, now = self._counted.get(breaker, 0), breaker.rejected
            self._counted[breaker] = now
        self._rejections.labels(alias_label(breaker.alias)).inc(now - before)

    def show(self) -> None:
        for breaker in existing_breakers().values():
            self.changed(breaker)
