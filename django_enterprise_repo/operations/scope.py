"""Which operation runs here, and how one begins."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from threading import get_ident
from typing import TypeVar

from django.db import connections

from ..resilience.budget import budget
from .attempts import Attempts, join
from .operation import Attempt, Operation, OperationSpec

R = TypeVar("R")

# Joined calls are recognised by context *and* connection *and* thread: a task created inside an operation
# inherits the context variable, but runs on a connection or at a time that is not the operation's own.
_active: ContextVar[Operation | None] = ContextVar("repository_operation", default=None)


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


def run(spec: OperationSpec, body: Callable[[Attempt], R]) -> R:
    """Run ``body`` as the operation ``spec``, or as part of the one that already runs on its connection.

    A callable and not a context manager: a later attempt has to be able to run the body again.

    Raises:
        RepositoryDatabaseError: what the database refused or failed to answer, said by the outermost operation;
            calls that join see Django's own errors.
    """
    outer = active_operation(spec.alias)
    if outer is not None:
        return join(body, Attempt(outer))
    budget.count_call()
    operation = Operation(spec, connections[spec.alias], outer=_active.get())
    token = _active.set(operation)
    error: BaseException | None = None
    try:
        return Attempts(operation, body).run()
    except BaseException as failure:
        error = failure
        raise
    finally:
        _active.reset(token)
        operation.finish(error)
