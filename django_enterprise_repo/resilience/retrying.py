"""Trying again: tenacity waits and stops, the policy says how long and how often."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential
from tenacity.stop import stop_base

from ..exceptions import CircuitOpenError
from ..policies import RetryPolicy
from .budget import budget

R = TypeVar("R")


def try_again(
    failure: Exception,
    attempt: Callable[[], R],
    policy: RetryPolicy,
    may_repeat: Callable[[BaseException], bool],
    ends_at: float | None,
    told: Callable[[BaseException], None],
) -> R:
    """Make ``attempt`` until it succeeds, after a first try that ended in ``failure``.

    Waits grow with full jitter: uniformly between nothing and ``policy.wait`` doubled with each attempt, at most
    ``policy.max_wait`` (Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).

    Args:
        may_repeat: whether a failure allows another attempt at all.
        ends_at: when all has to be over, on the clock of ``time.monotonic``.
        told: hears each failure that is followed by another attempt, before the wait.

    Raises:
        Exception: the last failure, as it was raised.
    """
    first = [failure]

    def again() -> R:
        if first:
            raise first.pop()
        return attempt()

    retrying = Retrying(
        retry=retry_if_exception(may_repeat),
        wait=_wait(policy),
        stop=_Stop(policy.attempts, ends_at),
        before_sleep=lambda state: told(_failure_of(state)),
        sleep=time.sleep,
        reraise=True,
    )
    return retrying(again)


def _wait(policy: RetryPolicy) -> Callable[[RetryCallState], float]:
    backoff = wait_random_exponential(multiplier=policy.wait, max=policy.max_wait)

    def wait(state: RetryCallState) -> float:
        failure = _failure_of(state)
        return failure.retry_after if isinstance(failure, CircuitOpenError) else backoff(state)

    return wait


class _Stop(stop_base):
    """Enough attempts, no time, or no budget left. A call that the breaker turned away was no attempt."""

    def __init__(self, attempts: int, ends_at: float | None) -> None:
        self._left = attempts
        self._ends_at = ends_at

    def __call__(self, state: RetryCallState) -> bool:
        if not isinstance(_failure_of(state), CircuitOpenError):
            self._left -= 1
        if self._left < 1 or (self._ends_at is not None and time.monotonic() + state.upcoming_sleep >= self._ends_at):
            return True
        return not budget.take()  # asked last: a retry that would not happen anyway must not use it up


def _failure_of(state: RetryCallState) -> BaseException:
    failure = state.outcome.exception() if state.outcome is not None else None
    assert failure is not None  # tenacity asks these questions of failed attempts only
    return failure
