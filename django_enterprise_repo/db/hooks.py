"""What happens to a connection's transactions, told to whoever must know.

There are two suppliers: the engines of this package, which see everything, and for Django's own engines
:func:`watch`, which delivers what ``on_commit`` can tell: that the transaction was committed. A rollback, a lost
connection, the moment before COMMIT and what others send are not seen there.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Any, Literal, Protocol
from weakref import WeakKeyDictionary

from django.db import DatabaseError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from ..resilience.guards import guard_of
from ..resilience.statements import StatementKind

logger = logging.getLogger("django_enterprise_repo.hooks")

#: How a transaction ended. A statement outside a transaction is one by itself. ``"unknown"``: the connection was lost
#: between COMMIT and its answer; ``"closed"``: it was closed or lost before, and the server rolls back.
Fate = Literal["committed", "rolled_back", "unknown", "closed"]
SavepointEvent = Literal["opened", "released", "rolled_back"]


class TransactionHooks(Protocol):
    """The four moments of a connection's life that correctness can hang on."""

    def statement(self, connection: BaseDatabaseWrapper, sql: Any, kind: StatementKind) -> None:
        """A statement is about to be sent."""

    def savepoint(self, connection: BaseDatabaseWrapper, sid: str, event: SavepointEvent) -> None:
        """A savepoint changed its state."""

    def before_commit(self, connection: BaseDatabaseWrapper) -> None:
        """COMMIT is next; a ``DatabaseError`` raised here rolls back instead."""

    def finished(self, connection: BaseDatabaseWrapper, fate: Fate) -> None:
        """The transaction is over."""


#: Who is told. Engines look at it before every statement, so that nothing is paid while it is empty.
listeners: list[TransactionHooks] = []
# One mark per connection with an unreported write; it collapses the reports of one transaction into one.
_unreported: WeakKeyDictionary[BaseDatabaseWrapper, object] = WeakKeyDictionary()


def listen(hooks: TransactionHooks) -> None:
    """Tell ``hooks`` about every transaction on an engine of ours, and those the package writes in on others.

    Idempotent.
    """
    if hooks not in listeners:
        listeners.append(hooks)


def ignore(hooks: TransactionHooks) -> None:
    """Undo :func:`listen`."""
    if hooks in listeners:
        listeners.remove(hooks)


def tell_statement(connection: BaseDatabaseWrapper, sql: Any, kind: StatementKind) -> None:
    for hooks in tuple(listeners):
        hooks.statement(connection, sql, kind)


def tell_savepoint(connection: BaseDatabaseWrapper, sid: str, event: SavepointEvent) -> None:
    for hooks in tuple(listeners):
        hooks.savepoint(connection, sid, event)


def tell_before_commit(connection: BaseDatabaseWrapper) -> None:
    """Ask everybody whether COMMIT may be sent.

    Raises:
        DatabaseError: somebody objects, or has failed. Django rolls back for no other kind of error, and SQLite would
            commit what is open.
    """
    for hooks in tuple(listeners):
        try:
            hooks.before_commit(connection)
        except DatabaseError:
            raise
        except Exception as error:
            raise DatabaseError("What had to be done before COMMIT has failed.") from error


def tell_finished(connection: BaseDatabaseWrapper, fate: Fate) -> None:
    """Tell everybody. Nobody can change what has happened, so who fails is logged and the next one is told."""
    for hooks in tuple(listeners):
        try:
            hooks.finished(connection, fate)
        except Exception as error:  # noqa: BLE001  # a commit must not look like a failure because of it
            told = {"alias": connection.alias, "error_type": type(error).__qualname__}
            logger.error("hook_failed", extra=told)  # noqa: TRY400  # a traceback may hold the values of rows


def watch(alias: str) -> None:
    """See to it that the end of the present transaction is told; called by the write path after each write.

    The adapter for Django's own engines; ours tell by themselves. Costs nothing while nobody listens. Outside a
    transaction the statement has committed by itself, and the listeners hear so at once.
    """
    if not listeners:
        return
    connection = connections[alias]
    if guard_of(connection).sees_everything:
        return
    if not (connection.in_atomic_block or connection.get_autocommit()):
        return  # nobody tells of the end of a transaction that is managed by hand
    mark = _unreported.setdefault(connection, object())
    # A callback registered in a savepoint vanishes when that is rolled back, so every write registers its own
    # and the first one to run speaks for all of them.
    transaction.on_commit(partial(_committed, connection, mark), using=alias)


def _committed(connection: BaseDatabaseWrapper, mark: object) -> None:
    if _unreported.get(connection) is mark:
        del _unreported[connection]
        tell_finished(connection, "committed")
