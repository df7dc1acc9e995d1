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
        self._cursors: WeakSet[Any] = WeakSet()

    @property
    def has_open_cursors(self) -> bool:
        """Whether rows may be left to be fetched, of an iterator say: until then SQLite shows one snapshot here."""
        return bool(self._cursors) and any(cursor.is_open for cursor in self._cursors)

    def _guarded(self, wrapper: Any) -> Any:
        cursor = super()._guarded(wrapper)
        self._cursors.add(cursor)
        return cursor

    def disown(self) -> None:
        """Nothing: SQLite has no socket, and a database in memory came along as a copy that the child may use."""

    def is_in_transaction(self) -> bool:
        return super().is_in_transaction() or (self.connection is not None and self.connection.in_transaction)
