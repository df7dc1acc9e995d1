"""Finding out whether a transaction was committed whose COMMIT got no answer. PostgreSQL can tell.

The transaction's id is asked for just before COMMIT; afterwards ``pg_xact_status()`` says what became of it
(PostgreSQL documentation, "Transaction ID and Snapshot Information Functions").
"""

from __future__ import annotations

from typing import Literal

from django.db import DatabaseError, connections

from ..exceptions import CommitMark, CommitOutcomeUnknown, InvalidArgument

Outcome = Literal["committed", "aborted", "in_progress", "unknown"]

# The cluster and its timeline belong to the id: another cluster, or one that was promoted in the meantime, may
# have given the same number to another transaction.
_IDENTITY = "(SELECT system_identifier FROM pg_control_system()), substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"
_MARK = f"SELECT pg_current_xact_id_if_assigned()::text, {_IDENTITY}"
_OUTCOME = f"SELECT pg_xact_status(%s::xid8), {_IDENTITY}"


def commit_mark(alias: str) -> CommitMark | None:
    """What the present transaction can be recognised by after its COMMIT; ``None`` while it has written nothing.

    Raises:
        InvalidArgument: the database is not PostgreSQL.
    """
    if connections[alias].vendor != "postgresql":
        raise InvalidArgument("Only PostgreSQL can say what became of a commit.")
    with connections[alias].cursor() as cursor:
        cursor.execute(_MARK)
        transaction, system, timeline = cursor.fetchone()
    return None if transaction is None else CommitMark(transaction, system, timeline)


def verify_commit(error: CommitOutcomeUnknown) -> Outcome:
    """What became of the transaction that ``error`` is about, asked on a new connection.

    ``"unknown"`` where nobody can tell: the commit was not marked, the database cannot be reached, is too far along to
    remember, or is not the one any more that was asked to commit.
    """
    mark, alias = error.mark, error.alias
    if mark is None or alias is None:
        return "unknown"
    try:
        with connections[alias].cursor() as cursor:
            cursor.execute(_OUTCOME, [mark.transaction])
            status, system, timeline = cursor.fetchone()
    except DatabaseError:
        return "unknown"  # it stays what it was: nobody knows
    if (system, timeline) != (mark.system, mark.timeline):
        return "unknown"
    outcomes: dict[str | None, Outcome] = {"committed": "committed", "aborted": "aborted", "in progress": "in_progress"}
    return outcomes.get(status, "unknown")
