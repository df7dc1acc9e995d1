"""The attempts of one operation: admitted by the breaker, repeated where that is safe, ended by the deadline."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from .. import conf
from ..exceptions import CircuitOpenError, QueryTimeout, RepositoryDatabaseError
from ..policies import RetryPolicy
from ..resilience.breakers import breaker
from ..resilience.circuit import Vote
from ..resilience.classification import Verdict
from ..resilience.deadlines import Watch, ambient_deadline, watched
from ..resilience.guards import ConnectionGuard, guard_of, is_in_transaction
from ..resilience.phases import Closed, Permit
from ..resilience.progress import Progress
from . import decisions
from .decisions import Refusal
from .failures import describe_failure, is_of_another, judge
from .operation import Attempt, Operation

R = TypeVar("R")


def _to_notice(seconds: float) -> float:
    """How long before its time is up a call of so many seconds is cut off, to be over when it is up."""
    return min(0.005, 0.02 * seconds)


class Attempts(Generic[R]):
    """One operation and its attempts.

    Inside somebody's transaction there is one attempt and no question to the breaker: the transaction has its
    locks and its snapshot, and half of it cannot be repeated. How it went is told to the breaker there, too.
    """

    __slots__ = ("_body", "_circuit", "_connection", "_guard", "_operation", "_policy", "_watch")

    def __init__(self, operation: Operation, body: Callable[[Attempt], R]) -> None:
        spec = operation.spec
        self._operation = operation
        self._body = body
        self._connection = operation.connection
        self._guard: ConnectionGuard = guard_of(operation.connection)
        # Below somebody who tells the breaker how it went, nobody else asks or tells it.
        self._circuit: Any = breaker(spec.alias) if spec.guarded and not self._guard.voters else None
        self._policy = conf.retry_policy() if spec.retry == "project" else spec.retry
        self._watch: Watch | None = None

    def run(self) -> R:
        """Make as many attempts as it takes and the policy allows.

        Raises:
            CircuitOpenError: the database has failed so often lately that it was not asked.
            RepositoryDatabaseError: what the last attempt came to.
        """
        seconds = self._seconds()
        if seconds is None:
            return self._make()
        if decisions.logger.isEnabledFor(logging.DEBUG):
            decisions.deadline_set(self._operation, seconds, self._deadline_from())
        with watched(time.monotonic() + seconds - _to_notice(seconds)) as self._watch:
            return self._make()

    def _make(self) -> R:
        is_within = is_in_transaction(self._connection)
        try:
            return self._attempt(None) if is_within else self._first()
        except RepositoryDatabaseError as failure:
            policy = None if is_within else self._policy
            if policy is None or policy.attempts == 1:
                self._refuse(failure, self._why_not(failure) or ("in_transaction" if is_within else "no_policy"))
                raise
            if not self._may_repeat(failure):
                raise
            return self._repeat(failure, policy)

    def _repeat(self, failure: RepositoryDatabaseError, policy: RetryPolicy) -> R:
        # Imported by whoever has to retry: tenacity takes a while to load, and most processes start in good health.
        from ..resilience.retrying import try_again

        ends_at = None if self._watch is None else self._watch.ends_at
        return try_again(failure, self._next, policy, self._may_repeat, ends_at, self._schedule, self._refuse)

    def _first(self) -> R:
        """An attempt of its own, which the breaker admits or not."""
        if self._circuit is None:
            return self._attempt(None)
        try:
            permit = self._circuit.admit()
        except CircuitOpenError as rejection:
            rejection.model = self._operation.spec.model._meta.label
            raise
        return self._attempt(permit)

    def _next(self) -> R:
        self._operation.begin_again()
        return self._first()

    def _attempt(self, permit: Permit | None) -> R:
        guard, spec = self._guard, self._operation.spec
        attempt = Attempt(self._operation, self._operation.attempts)
        writes = spec.effect == "write"
        before = guard.begin_attempt(writes=writes)
        progress = Progress(self._connection, guard) if writes and not guard.sees_everything else None
        probes = permit is not None and not isinstance(permit, Closed)
        started = time.perf_counter()
        vote: Vote = "void"
        try:
            self._keep_deadline()
            if probes:
                guard.refresh(self._connection)
            result = self._body(attempt)
            vote = "success" if guard.contacted else "void"
        except BaseException as failure:
            attempt.fail()
            verdict = judge(failure, self._operation, guard)
            # A probe that was cut off has proved nothing, and the circuit must not close for it.
            vote = "failure" if probes and verdict.kind == "deadline" else verdict.vote
            described = describe_failure(failure, verdict, self._operation)
            dropped = verdict.drop and not is_in_transaction(self._connection)
            if dropped:
                guard.discard(self._connection)
            self._tell_failure(verdict, vote, dropped=dropped)
            if described is failure:
                raise
            raise described from (failure.__cause__ or failure)
        finally:
            if progress is not None:
                progress.stop()
            if self._watch is not None:
                self._watch.detach()
            guard.end_attempt(before)
            if self._circuit is not None:
                self._tell(permit, vote, time.perf_counter() - started)
        return result

    def _keep_deadline(self) -> None:
        """Let the watchdog end this attempt when its time is up.

        Raises:
            QueryTimeout: it is up already.
        """
        if self._watch is None:
            return
        if self._watch.remaining <= 0:
            raise QueryTimeout(kind="deadline")
        self._guard.watch = self._watch
        self._connection.ensure_connection()
        self._watch.attach(self._connection)

    def _tell_failure(self, verdict: Verdict, vote: Vote, *, dropped: bool) -> None:
        decisions.attempt_failed(self._operation, verdict, vote, dropped=dropped)
        if verdict.kind == "deadline":
            decisions.deadline_passed(self._operation, was_cut=self._watch is not None and self._watch.has_cut)

    def _tell(self, permit: Permit | None, vote: Vote, seconds: float) -> None:
        if permit is None:
            self._circuit.observe(vote, seconds)
        else:
            self._circuit.settle(permit, vote, seconds)

    def _may_repeat(self, failure: BaseException) -> bool:
        why_not = self._why_not(failure)
        if why_not is not None:
            self._refuse(failure, why_not)
        return why_not is None

    def _why_not(self, failure: BaseException) -> Refusal | None:
        """What about ``failure`` forbids another attempt, if anything does."""
        if is_of_another(failure, self._operation.spec.alias):
            return "other_database"
        if isinstance(failure, CircuitOpenError):
            opens_in_time = self._watch is not None and failure.retry_after < self._watch.remaining
            return None if opens_in_time else "circuit_open"
        if not isinstance(failure, RepositoryDatabaseError):
            return "not_retryable"
        if failure.fate != "not_applied":
            return "fate_unknown" if self._operation.spec.effect == "write" else "not_repeatable"
        return None if failure.retryable else "not_retryable"

    def _schedule(self, failure: BaseException, seconds: float) -> None:
        self._operation.retried_for = (*self._operation.retried_for, getattr(failure, "kind", "other"))
        decisions.retry_scheduled(self._operation, failure, seconds)

    def _refuse(self, failure: BaseException, refusal: Refusal) -> None:
        decisions.retry_refused(self._operation, failure, refusal)

    def _deadline_from(self) -> str:
        if self._operation.spec.deadline is not None:
            return "call"
        return "policy" if ambient_deadline() is None else "surroundings"

    def _seconds(self) -> float | None:
        """The limit of the whole operation: the call's own, else its surroundings', else the policy's."""
        if self._operation.spec.deadline is not None:
            return self._operation.spec.deadline
        ambient = ambient_deadline()
        if ambient is not None:
            return ambient
        return None if self._policy is None else self._policy.deadline
