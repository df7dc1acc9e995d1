"""Trying again: tenacity waits and stops, the policy says how long and how often."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential
from tenacity.stop import stop_base

from ..exceptions import CircuitOpenError
from ..policies import RetryPolicy
from .budget import budget

R = TypeVar("R")

#: What another attempt may lack.
Exhausted = Literal["attempts", "deadline", "budget"]


def try_again(
    failure: Exception,
    attempt: Callable[[], R],
    policy: RetryPolicy,
    may_repeat: Callable[[BaseException], bool],
    ends_at: float | None,
    scheduled: Callable[[BaseException, float], None],
    refused: Callable[[BaseException, Exhausted], None],
) -> R:
    """Make ``attempt`` until it succeeds, after a first try that ended in ``failure``.

    Waits grow with full jitter: uniformly between nothing and ``policy.wait`` doubled with each attempt, at most
    ``policy.max_wait`` (Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).

    Args:
        may_repeat: whether a failure allows another attempt at all.
        ends_at: when all has to be over, on the clock of ``time.monotonic``.
        scheduled: hears each failure that is followed by another attempt, and for how many seconds is waited.
        refused: hears what was used up, where a failure allows an attempt that is not made.

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
        stop=_Stop(policy.attempts, ends_at, refused),
        before_sleep=lambda state: scheduled(_failure_of(state), state.upcoming_sleep),
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

    def __init__(
        self, attempts: int, ends_at: float | None, refused: Callable[[BaseException, Exhausted], None]
    ) -> None:
        self._left = attempts
        self._ends_at = ends_at
        self._refused = refused

    def __call__(self, state: RetryCallState) -> bool:
        failure = _failure_of(state)
        if not isinstance(failure, CircuitOpenError):
            self._left -= 1
        exhausted = self._exhausted(state.upcoming_sleep)
        if exhausted is not None:
            self._refused(failure, exhausted)
        return exhausted is not None

    def _exhausted(self, wait: float) -> Exhausted | None:
        if self._left < 1:
            return "attempts"
        if self._ends_at is not None and time.monotonic() + wait >= self._ends_at:
            return "deadline"
        # Asked last: a retry that would not happen anyway must not use it up.
        return None if budget.take() else "budget"


def _failure_of(state: RetryCallState) -> BaseException:
    failure = state.outcome.exception() if state.outcome is not None else None
    assert failure is not None  # tenacity asks these questions of failed attempts only
    return failure
