"""The engine ``django_enterprise_repo.db.backends.mysql``, for MariaDB and MySQL through mysqlclient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.db.backends.mysql import base

from ....resilience.statements import commits_implicitly, statement_kind
from ...guarded import GuardedDatabaseMixin

R = TypeVar("R")


class DatabaseWrapper(GuardedDatabaseMixin, base.DatabaseWrapper):
    """Django's MySQL, with connects, statements, fetches and commits seen by the guard."""

    #: A transaction was begun by SQL. The driver does not tell, so the statements have to.
    _is_begun_by_sql = False

    def connect(self) -> None:
        self._is_begun_by_sql = False
        super().connect()

    def send(self, sql: Any, execute: Callable[[], R], cursor: Any) -> R:
        if commits_implicitly(sql):
            self.repository_guard.committed = True  # also when it fails: the commit comes first
        answer = super().send(sql, execute, cursor)
        if not self.in_atomic_block:
            kind = statement_kind(sql)
            if kind in ("begin", "commit", "rollback"):
                self._is_begun_by_sql = kind == "begin"
        return answer

    def is_in_transaction(self) -> bool:
        return self._is_begun_by_sql or super().is_in_transaction()
