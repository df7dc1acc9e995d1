"""The circuit breakers of this process, one for each database alias.

This module imports no pybreaker until the first breaker is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from django.dispatch import Signal

from ..policies import BreakerPolicy

if TYPE_CHECKING:
    from pybreaker import CircuitBreakerState

    from .breaker import CircuitBreaker

#: Sent robustly after a circuit has changed its state, with no lock held, with ``alias``, ``old`` and ``new`` (each
#: ``"closed"``, ``"open"`` or ``"half-open"``) and ``breaker``. Changes that follow each other closely may come in
#: either order; ``breaker.snapshot()`` tells what is so.
circuit_state_changed = Signal()

_made: dict[str, CircuitBreaker] = {}
_resolve: Callable[[str], BreakerPolicy] = lambda alias: BreakerPolicy()  # noqa: E731


def configure(resolve: Callable[[str], BreakerPolicy]) -> None:
    """Say how the policy of an alias is found. Breakers that were made before keep theirs."""
    global _resolve
    _resolve = resolve


def breaker(alias: str) -> CircuitBreaker:
    """The breaker of an alias, made when first asked for."""
    try:
        return _made[alias]
    except KeyError:
        return _make(alias)


def existing_breakers() -> Mapping[str, CircuitBreaker]:
    """The breakers made so far, by alias: a copy that no other thread adds to."""
    return dict(_made)


def reset_breakers() -> None:
    """Forget all breakers, and with them what their databases did. For tests."""
    _made.clear()


def _make(alias: str) -> CircuitBreaker:
    from .breaker import CircuitBreaker

    # Without a lock, which a fork could leave locked: of two that are made at once the first one in stays.
    return _made.setdefault(alias, CircuitBreaker(alias, _resolve(alias), listeners=[_Announcer()]))


class _Announcer:
    """The listener that sends the signal. It says nothing of single calls."""

    def before_call(self, breaker: CircuitBreaker, *args: object, **kwargs: object) -> None: ...

    def success(self, breaker: CircuitBreaker) -> None: ...

    def failure(self, breaker: CircuitBreaker, error: BaseException) -> None: ...

    def state_change(self, breaker: CircuitBreaker, old: CircuitBreakerState, new: CircuitBreakerState) -> None:
        circuit_state_changed.send_robust(
            sender=type(breaker), alias=breaker.alias, old=old.name, new=new.name, breaker=breaker
        )
