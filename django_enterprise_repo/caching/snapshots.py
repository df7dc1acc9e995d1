"""Whether a connection, as it is now, reads what everybody else would read."""

from __future__ import annotations

from typing import Any

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from ..resilience.guards import guard_of, is_in_transaction
from .fences import fences_of


def is_current(connection: BaseDatabaseWrapper) -> bool:
    """Whether a read on ``connection`` sees what is committed at that moment and nothing else.

    Only then may a cached row stand for what would be read, and what is read be cached for others. Inside a
    transaction that has written it is not so, and not in a snapshot, which may be older than what was cached since.
    With Django's own engines nobody knows what a transaction has written, so none counts.
    """
    fences = fences_of(connection)
    if fences.is_elsewhere:
        return False
    guard = guard_of(connection)
    ours: Any = connection
    if not (ours.is_in_transaction() if guard.sees_everything else is_in_transaction(connection)):
        return not (connection.vendor == "sqlite" and getattr(connection, "has_open_cursors", False))
    if not guard.sees_everything or fences.has_written or fences.is_isolated:
        return False
    return _reads_committed(connection)


def _reads_committed(connection: BaseDatabaseWrapper) -> bool:
    isolation: Any = getattr(connection, "isolation_level", None)
    if connection.vendor == "mysql":
        return bool(isolation == "read committed")  # which Django asks for when nothing else is set
    if connection.vendor != "postgresql":
        return False  # a transaction of SQLite reads one snapshot
    driver: Any = connection.connection
    known: bool | None = getattr(driver, "repository_reads_committed", None)
    is_chosen = fences_of(connection).is_isolation_chosen
    if known is None or is_chosen:
        # What Django believes is its own setting. The server's, the database's and the role's come before it.
        try:
            with connection.cursor() as cursor:
                cursor.execute("SHOW transaction_isolation")
                known = cursor.fetchone() == ("read committed",)
        except DatabaseError:
            return False  # the transaction is over; the read that comes next says so, as an operation
        if not is_chosen:  # what was chosen for this transaction says nothing of the next one
            driver.repository_reads_committed = known
    return known
