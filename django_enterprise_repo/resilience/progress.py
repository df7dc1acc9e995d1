"""What an attempt has already made permanent, where the engine does not tell.

An attempt that has committed anything must not be made again, whatever failed after that. Engines of this package
keep ``guard.committed`` themselves; on Django's own the statements have to be looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from .guards import ConnectionGuard, is_in_transaction
from .statements import may_commit, statement_kind


class Progress:
    """The first commit of an attempt, noticed by an ``execute_wrapper`` for as long as the attempt takes."""

    def __init__(self, connection: BaseDatabaseWrapper, guard: ConnectionGuard) -> None:
        self._connection = connection
        self._guard = guard
        # At commit Django runs what is queued here, in order and whatever savepoints were rolled back. In front of
        # the queue, so that nobody's callback can fail before the commit is noticed.
        self._at_commit: Any = (set(), self._committed, False)
        # Outermost, and by hand: Django's own context manager takes away whichever wrapper is the last.
        connection.execute_wrappers.insert(0, self)

    def __call__(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        if may_commit(sql):
            self._committed()  # also when it fails: what failed may have come after the COMMIT
        result = execute(sql, params, many, context)
        kind = statement_kind(sql)
        if kind == "write" and not is_in_transaction(self._connection):
            self._committed()
        elif kind == "write" and self._at_commit not in self._connection.run_on_commit:
            self._connection.run_on_commit.insert(0, self._at_commit)
        return result

    def stop(self) -> None:
        """Look no further."""
        self._connection.execute_wrappers.remove(self)

    def _committed(self) -> None:
        self._guard.committed = True
