"""The engine ``django_enterprise_repo.db.backends.sqlite3``."""

from __future__ import annotations

from django.db.backends.sqlite3 import base

from ...guarded import GuardedDatabaseMixin


class DatabaseWrapper(GuardedDatabaseMixin, base.DatabaseWrapper):
    """Django's SQLite, with connects, statements, fetches and commits seen by the guard."""

    def disown(self) -> None:
        """Nothing: SQLite has no socket, and a database in memory came along as a copy that the child may use."""

    def _is_in_transaction(self) -> bool:
        return super()._is_in_transaction() or (self.connection is not None and self.connection.in_transaction)
