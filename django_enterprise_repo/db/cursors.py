"""Django's cursor wrappers, which say to their connection what they send."""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache, partial
from typing import Any

from django.db.backends.utils import CursorWrapper


class GuardedCursor:
    """Put before one of Django's cursor wrappers: every statement passes through the guard of its connection.

    The innermost step is overridden, inside whatever ``execute_wrapper`` others have installed: they may send
    something else, or nothing.
    """

    db: Any
    cursor: Any
    #: Nobody has closed it yet.
    is_open = True

    def _execute(self, sql: Any, params: Any, *ignored: Any) -> Any:
        return self.db.send(sql, partial(super()._execute, sql, params, *ignored), self.cursor)  # type: ignore[misc]

    def _executemany(self, sql: Any, param_list: Any, *ignored: Any) -> Any:
        send = partial(super()._executemany, sql, param_list, *ignored)  # type: ignore[misc]
        return self.db.send(sql, send, self.cursor)

    def callproc(self, procname: str, params: Any = None, kparams: Any = None) -> Any:
        send = partial(super().callproc, procname, params, kparams)  # type: ignore[misc]
        return self.db.send(f"CALL {procname}", send, self.cursor)

    def close(self) -> None:
        self.is_open = False
        # A server-side cursor that its session has lost can't be closed. Django looks away from that at the end of
        # ``with``, but not after a fetch, where the driver's bare error then hides the one of the fetch.
        with suppress(self.db.Database.Error):
            self.cursor.close()


@lru_cache(maxsize=16)
def guarded(kind: type[CursorWrapper]) -> type[CursorWrapper]:
    """``kind``, a cursor wrapper of Django or of another engine, as a guarded one."""
    return type(f"Guarded{kind.__name__}", (GuardedCursor, kind), {})
