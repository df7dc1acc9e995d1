"""Telling a pybreaker storage, for others to see, what state a circuit is in."""

from __future__ import annotations

import logging
import threading
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pybreaker import CircuitBreakerStorage

logger = logging.getLogger("django_enterprise_repo.breaker")


class StorageMirror:
    """Writes changes of state to a storage from a thread of its own, which lives while there is something to write.

    A storage may be a Redis that fails or never answers. No call waits for it, there is one such thread at most, and
    of several changes that wait for it the last one counts. Nothing is ever read back.
    """

    def __init__(self, storage: CircuitBreakerStorage, alias: str) -> None:
        self._storage = storage
        self._alias = alias
        self.after_fork()

    def after_fork(self) -> None:
        # Re-entrant, because a finalizer may run at any line and use a database.
        self._lock = threading.RLock()
        self._untold: tuple[str, datetime | None] | None = None
        self._writing = False

    def tell(self, state: str, opened_at: datetime | None) -> None:
        with self._lock:
            self._untold = state, opened_at
            if self._writing:
                return
            self._writing = True
        try:
            threading.Thread(target=self._write, name=f"circuit {self._alias}", daemon=True).start()
        except RuntimeError as error:  # no more threads, or the interpreter is about to end
            self._writing = False
            self._report(error)

    def _write(self) -> None:
        while (told := self._next()) is not None:
            state, opened_at = told
            try:
                if opened_at is not None:
                    self._storage.opened_at = opened_at
                self._storage.state = state
            except Exception as error:  # noqa: BLE001 - whatever a storage raises, and its text may name hosts
                self._report(error)

    def _next(self) -> tuple[str, datetime | None] | None:
        with self._lock:
            told, self._untold = self._untold, None
            self._writing = told is not None
            return told

    def _report(self, error: Exception) -> None:
        logger.error("circuit_storage_failed", extra={"alias": self._alias, "error_type": type(error).__qualname__})
