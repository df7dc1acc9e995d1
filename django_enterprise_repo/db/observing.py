"""One statement on its way to the database, with the hooks told what comes of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from ..resilience.classification import classify
from ..resilience.guards import recorded_verdict
from ..resilience.statements import StatementKind, statement_kind
from . import hooks


@contextmanager
def observed(connection: BaseDatabaseWrapper, sql: Any, *, in_transaction: bool) -> Iterator[StatementKind]:
    """Tell the hooks of a statement that is sent inside; outside a transaction it is a transaction by itself."""
    kind = statement_kind(sql)
    hooks.tell_statement(connection, sql, kind)
    if kind == "commit":
        _before_commit(connection)
    ends = kind == "commit" or (kind == "write" and not in_transaction)
    try:
        yield kind
    except BaseException as error:
        if ends:
            verdict = recorded_verdict(error) or classify(error, "commit")
            hooks.tell_finished(connection, "unknown" if verdict.fate == "unknown" else "rolled_back")
        raise
    if ends:
        hooks.tell_finished(connection, "committed")
    elif kind == "rollback":
        hooks.tell_finished(connection, "rolled_back")


def _before_commit(connection: BaseDatabaseWrapper) -> None:
    """For a COMMIT that somebody wrote as SQL: who objects has it rolled back, as at the end of a block."""
    try:
        hooks.tell_before_commit(connection)
    except DatabaseError:
        connection.connection.rollback()
        hooks.tell_finished(connection, "rolled_back")
        raise
