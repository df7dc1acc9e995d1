"""The engine ``django_enterprise_repo.db.backends.sqlite3``."""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

from django.db.backends.sqlite3 import base

from ...guarded import GuardedDatabaseMixin


class DatabaseWrapper(GuardedDatabaseMixin, base.DatabaseWrapper):
    """Django's SQLite, with connects, statements, fetches and commits seen by the guard."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._chunked: WeakSet[Any] = WeakSet()

    @property
    def has_open_cursors(self) -> bool:
        """Whether an iterator is being read in chunks: until its end SQLite shows this connection one snapshot."""
        return bool(self._chunked) and any(cursor.is_open for cursor in self._chunked)

    def chunked_cursor(self) -> Any:
        cursor = super().chunked_cursor()
        self._chunked.add(cursor)
        return cursor

    def disown(self) -> None:
        """Nothing: SQLite has no socket, and a database in memory came along as a copy that the child may use."""

    def is_in_transaction(self) -> bool:
        return super().is_in_transaction() or (self.connection is not None and self.connection.in_transaction)
