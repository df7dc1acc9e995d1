"""What happens to a connection's transactions, told to whoever must know.

Two suppliers exist in principle: an engine of ours, which sees everything, and Django's own engines, for which
:func:`watch` delivers what ``on_commit`` can tell: that the transaction was committed. A rollback, a lost
connection and the moment before COMMIT are not seen there.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal, Protocol
from weakref import WeakKeyDictionary

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

Fate = Literal["committed", "rolled_back", "unknown", "closed"]


class TransactionHooks(Protocol):
    """The four moments of a connection's life that correctness can hang on."""

    def statement(self, connection: BaseDatabaseWrapper, sql: Any, kind: str) -> None:
        """A statement is about to be sent."""

    def savepoint(
        self, connection: BaseDatabaseWrapper, sid: str, event: Literal["opened", "released", "rolled_back"]
    ) -> None:
        """A savepoint changed its state."""

    def before_commit(self, connection: BaseDatabaseWrapper) -> None:
        """COMMIT is next; a ``DatabaseError`` raised here rolls back instead."""

    def finished(self, connection: BaseDatabaseWrapper, fate: Fate) -> None:
        """The transaction is over."""


_listeners: list[TransactionHooks] = []
# One mark per connection with an unreported write; it collapses the reports of one transaction into one.
_unreported: WeakKeyDictionary[BaseDatabaseWrapper, object] = WeakKeyDictionary()


def listen(hooks: TransactionHooks) -> None:
    """Tell ``hooks`` about every transaction the package writes in. Idempotent."""
    if hooks not in _listeners:
        _listeners.append(hooks)


def ignore(hooks: TransactionHooks) -> None:
    """Undo :func:`listen`."""
    if hooks in _listeners:
        _listeners.remove(hooks)


def watch(alias: str) -> None:
    """See to it that the end of the present transaction is told; called by the write path after each write.

    The adapter for Django's own engines. Costs nothing while nobody listens. Outside a transaction the
    statement has committed by itself, and the listeners hear so at once.
    """
    if not _listeners:
        return
    connection = connections[alias]
    mark = _unreported.setdefault(connection, object())
    # A callback registered in a savepoint vanishes when that is rolled back, so every write registers its own
    # and the first one to run speaks for all of them.
    transaction.on_commit(partial(_committed, connection, mark), using=alias)


def _committed(connection: BaseDatabaseWrapper, mark: object) -> None:
    if _unreported.get(connection) is mark:
        del _unreported[connection]
        _tell(connection, "committed")


def _tell(connection: BaseDatabaseWrapper, fate: Fate) -> None:
    for hooks in tuple(_listeners):
        hooks.finished(connection, fate)
