"""A transaction around a whole function, which can be run again as a whole."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar, cast

from asgiref.sync import sync_to_async
from django.db import Error, connections, transaction

from .. import conf
from ..exceptions import CommitMark, CommitOutcomeUnknown, InvalidArgument, InvalidArgumentType
from ..policies import Project, RetryPolicy
from ..resilience.classification import classify
from ..resilience.commits import commit_mark, verify_commit
from ..resilience.guards import guard_of, is_in_transaction, is_opened_by_test, recorded_verdict
from . import decisions
from .attempts import Attempts
from .operation import Attempt, Operation, OperationSpec
from .scope import note_elsewhere, unit_on

P = ParamSpec("P")
R = TypeVar("R")

#: How often, and after how many seconds each, a commit is asked for that the server is still busy with.
_ASK_AGAIN, _ASK_AFTER = 20, 0.05


class UnitOfWork:
    """What ``repository.atomic(…)`` answers: decorate a function with it, or hand it one by :meth:`run`.

    Every call of the function runs in a transaction of its own. When that is known not to have been applied and may
    succeed a moment later (a serialization failure, a deadlock, a connection lost before COMMIT), the function is
    called again with the same arguments, so it must begin from the database and not from what it has found before.
    Inside another transaction it is called once, in a savepoint: the outermost transaction is the one to repeat.
    """

    def __init__(self, spec: OperationSpec, *, durable: bool = False, verify: bool = False) -> None:
        if verify and connections[spec.alias].vendor != "postgresql":
            raise InvalidArgument("verify_commit=True needs PostgreSQL: other databases cannot say what became of it.")
        self._spec = spec
        self._durable = durable
        self._verify = verify

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Decorate ``function``.

        Raises:
            InvalidArgumentType: a coroutine function; transactions of Django belong to one thread.
        """
        _refuse_coroutines(function)

        @wraps(function)
        def in_transaction(*args: P.args, **kwargs: P.kwargs) -> R:
            return self.run(function, *args, **kwargs)

        return in_transaction

    def run(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call ``function`` in a transaction, as often as it takes and was allowed.

        Raises:
            CommitOutcomeUnknown: the connection was lost between COMMIT and its answer, and nobody can tell any more.
            RepositoryDatabaseError: what the database refused or failed to answer in the last attempt.
        """
        _refuse_coroutines(function)
        alias = self._spec.alias
        call = partial(function, *args, **kwargs)
        connection = connections[alias]
        if is_in_transaction(connection) and not is_opened_by_test(connection):
            with transaction.atomic(using=alias, durable=self._durable):
                return call()
        operation = Operation(self._spec, connection)
        error: BaseException | None = None
        try:
            with unit_on(connection):
                return Attempts(operation, partial(self._attempt, call)).run()
        except BaseException as failure:
            error = failure
            raise
        finally:
            note_elsewhere(operation)
            operation.finish(error)

    async def arun(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """:meth:`run` for async code; ``function`` itself is synchronous and runs in a thread."""
        return await sync_to_async(self.run)(function, *args, **kwargs)

    def _attempt(self, call: Callable[[], R], attempt: Attempt) -> R:
        alias = self._spec.alias
        guard = guard_of(connections[alias])
        mark: CommitMark | None = None
        is_committing = False
        try:
            with transaction.atomic(using=alias, durable=self._durable):
                answer = call()
                mark = commit_mark(alias) if self._verify else None
                is_committing = True
        except Error as failure:
            unknown = _unknown_outcome(failure) if is_committing and not guard.committed else None
            if unknown is None:
                raise
            unknown.mark = mark
            if not self._is_committed(unknown, attempt.operation):
                raise unknown from (failure.__cause__ or failure)
        return answer

    def _is_committed(self, unknown: CommitOutcomeUnknown, operation: Operation) -> bool:
        """Whether the transaction is there after all; where it is not, ``unknown`` says that it may be repeated."""
        unknown.alias = self._spec.alias
        outcome = verify_commit(unknown)
        for _ in range(_ASK_AGAIN):
            if outcome != "in_progress":
                break
            time.sleep(_ASK_AFTER)
            outcome = verify_commit(unknown)
        decisions.commit_verified(operation, outcome)
        if outcome == "aborted":
            unknown.fate, unknown.retryable = "not_applied", True
            cast("Any", unknown).repository_verdict = None
        return outcome == "committed"


def _unknown_outcome(failure: Error) -> CommitOutcomeUnknown | None:
    """``failure`` of a COMMIT as what it says of the outcome, ``None`` where the database itself refused to commit."""
    if isinstance(failure, CommitOutcomeUnknown):
        return failure
    verdict = recorded_verdict(failure) or classify(failure, "commit")
    return CommitOutcomeUnknown(code=verdict.code) if verdict.fate == "unknown" else None


def _refuse_coroutines(function: Callable[..., Any]) -> None:
    if inspect.iscoroutinefunction(function):
        raise InvalidArgumentType(
            "atomic() runs a synchronous function: a transaction belongs to one thread. "
            "Await its arun() with one, or put the database work of the coroutine into one."
        )


def with_retries(policy: RetryPolicy | Project | None, retries: int) -> RetryPolicy:
    """``policy`` with so many retries after the first attempt.

    Raises:
        InvalidArgument: not a number of retries.
    """
    if type(retries) is not int or retries < 0:
        raise InvalidArgument("retries= takes an int of 0 or more.")
    base = conf.retry_policy() if policy == "project" else policy
    return replace(base or RetryPolicy(), attempts=retries + 1)
