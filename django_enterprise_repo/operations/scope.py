"""Which operation runs here, and how one begins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import get_ident
from typing import Any, TypeVar

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from ..resilience.budget import budget
from ..resilience.guards import guard_of
from .operation import Attempt, Operation, OperationSpec

R = TypeVar("R")

#: What a shortcut answers that does not know.
NOTHING: Any = object()

# Joined calls are recognised by context *and* connection *and* thread: a task created inside an operation
# inherits the context variable, but runs on a connection or at a time that is not the operation's own.
_active: ContextVar[Operation | None] = ContextVar("repository_operation", default=None)


# Units of work are no operations that others could join, but they are repeated, too.
_units: ContextVar[tuple[tuple[BaseDatabaseWrapper, int], ...]] = ContextVar("repository_units", default=())


@contextmanager
def unit_on(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """A unit of work on ``connection`` runs inside."""
    token = _units.set((*_units.get(), (connection, get_ident())))
    try:
        yield
    finally:
        _units.reset(token)


def active_operation(alias: str) -> Operation | None:
    """The operation that runs on this thread's connection to ``alias``, if any."""
    operation = _active.get()
    if operation is None:
        return None
    connection, thread = connections[alias], get_ident()
    while operation is not None:
        if operation.connection is connection and operation.thread == thread and operation.duration is None:
            return operation
        operation = operation.outer
    return None


def latest_operation() -> Operation | None:
    """The innermost operation of this thread, on whichever connection, if any."""
    operation = _active.get()
    thread = get_ident()
    while operation is not None and (operation.thread != thread or operation.duration is not None):
        operation = operation.outer
    return operation


def run(
    spec: OperationSpec,
    body: Callable[[Attempt], R],
    shortcut: Callable[[], R] | None = None,
    connection: BaseDatabaseWrapper | None = None,
) -> R:
    """Run ``body`` as the operation ``spec``, or as part of the one that already runs on its connection.

    A callable and not a context manager: a later attempt has to be able to run the body again.

    Args:
        shortcut: asked first, before the breaker and not again; if it answers :data:`NOTHING` the body runs.
        connection: this thread's to the alias of ``spec``, for who has it at hand.

    Raises:
        RepositoryDatabaseError: what the database refused or failed to answer, said by the outermost operation;
            calls that join see Django's own errors.
    """
    outer = active_operation(spec.alias)
    if outer is not None:
        answer = NOTHING if shortcut is None else shortcut()
        return _join(body, Attempt(outer)) if answer is NOTHING else answer
    budget.count_call()
    operation = Operation(spec, connection or connections[spec.alias], outer=_active.get())
    token = _active.set(operation)
    error: BaseException | None = None
    try:
        answer = NOTHING if shortcut is None else shortcut()
        return _attempted(operation, body) if answer is NOTHING else answer
    except BaseException as failure:
        error = failure
        raise
    finally:
        _active.reset(token)
        if spec.effect == "write":
            note_elsewhere(operation)
        operation.finish(error)


def _attempted(operation: Operation, body: Callable[[Attempt], R]) -> R:
    # Not imported before something is asked: it brings all that is known of what can go wrong.
    from .attempts import Attempts

    return Attempts(operation, body).run()


def _join(body: Callable[[Attempt], R], attempt: Attempt) -> R:
    """Run ``body`` as part of an attempt that somebody else has begun."""
    operation = attempt.operation
    history_rows = operation.history_rows
    try:
        return body(attempt)
    except BaseException:
        operation.history_rows = history_rows  # those it has added are rolled back
        attempt.fail()
        raise


def note_elsewhere(operation: Operation) -> None:
    """What a write on another database may have made permanent must not be made again by what is around it."""
    for connection, thread in _units.get():
        if thread == operation.thread and connection is not operation.connection:
            guard_of(connection).committed = True
    around = operation.outer
    while around is not None:
        if around.thread == operation.thread and around.duration is None:
            guard_of(around.connection).committed = True
        around = around.outer
