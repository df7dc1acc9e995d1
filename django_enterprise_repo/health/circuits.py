"""What the circuit breakers of this process say; nobody is asked."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..exceptions import CircuitOpenError
from ..resilience.breakers import existing_breakers
from ..resilience.circuit import Circuit, Vote
from ..resilience.classification import classify
from ..resilience.guards import recorded_verdict
from ..resilience.phases import Permit
from .report import Outcome, Status

_FAILURE: Vote = "failure"
#: How bad it is that a circuit is in a state.
STATUS: dict[str, Status] = {"closed": "pass", "half-open": "warn", "open": "fail"}


def circuit(alias: str, seconds: float = 0.0) -> Outcome:
    """The state of one breaker. One that nobody has needed yet is closed."""
    breaker = existing_breakers().get(alias)
    if breaker is None:
        return Outcome("pass", observed=("closed", None))
    state = breaker.snapshot()
    return Outcome(
        STATUS[state.state],
        None if state.state == "closed" else state.state,
        observed=(state.state, None),
        more={} if state.state == "closed" else {"retryAfter": round(state.retry_after, 1)},
    )


def as_probe(alias: str, ask: Callable[[], Outcome]) -> Outcome:
    """``ask`` the database of ``alias``, and let a circuit that is due to be tried hear what it says.

    One that is closed, or open for some time yet, hears nothing.
    """
    breaker = existing_breakers().get(alias)
    permit = None if breaker is None or breaker.is_closed else _leave(breaker)
    if breaker is None or permit is None:
        return ask()
    started, vote = time.monotonic(), _FAILURE
    try:
        outcome = ask()
        vote = "success"
    except Exception as error:
        verdict = recorded_verdict(error) or classify(error)
        vote = _FAILURE if verdict.kind == "timeout" else verdict.vote  # cut off, it has proved nothing
        raise
    finally:
        breaker.settle(permit, vote, time.monotonic() - started)
    return outcome


def _leave(breaker: Circuit) -> Permit | None:
    if breaker.retry_after > 0:  # looked at first, since asking too early counts as a rejection
        return None
    try:
        return breaker.admit()
    except CircuitOpenError:  # somebody else was faster
        return None


def retry_after(aliases: tuple[str, ...]) -> float:
    """Seconds until every open circuit among ``aliases`` lets a call through."""
    breakers = existing_breakers()
    return max((breakers[alias].retry_after for alias in aliases if alias in breakers), default=0.0)
