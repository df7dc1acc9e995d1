"""What the circuit breakers of this process say; nobody is asked."""

from __future__ import annotations

from ..resilience.breakers import existing_breakers
from .report import Outcome, Status

_STATUS: dict[str, Status] = {"closed": "pass", "half-open": "warn", "open": "fail"}


def circuit(alias: str, seconds: float = 0.0) -> Outcome:
    """The state of one breaker. One that nobody has needed yet is closed."""
    breaker = existing_breakers().get(alias)
    if breaker is None:
        return Outcome("pass", observed=("closed", None))
    state = breaker.snapshot()
    return Outcome(
        _STATUS[state.state],
        None if state.state == "closed" else state.state,
        observed=(state.state, None),
        more={} if state.state == "closed" else {"retryAfter": round(state.retry_after, 1)},
    )


def retry_after(aliases: tuple[str, ...]) -> float:
    """Seconds until every open circuit among ``aliases`` lets a call through."""
    breakers = existing_breakers()
    return max((breakers[alias].retry_after for alias in aliases if alias in breakers), default=0.0)
