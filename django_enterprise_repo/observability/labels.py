"""Label values for what there may be more of than a time series database should hold."""

from __future__ import annotations

import os
import threading

from django.db.models import Model

#: Most database aliases with metrics of their own; projects that make aliases up at run time have more.
MOST_ALIASES = 100


class Labels:
    """The first so many values, and ``"other"`` for all that come later."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._known: set[str] = set()
        self.after_fork()

    def after_fork(self) -> None:
        # Re-entrant: a finalizer may run at any line, and use the database.
        self._lock = threading.RLock()

    def of(self, value: str) -> str:
        with self._lock:
            if value in self._known:
                return value
            if len(self._known) >= self.limit:
                return "other"
            self._known.add(value)
            return value


_models = Labels(100)
_aliases = Labels(MOST_ALIASES)


def limit_models(limit: int) -> None:
    """How many models have labels of their own."""
    _models.limit = limit


def model_label(model: type[Model]) -> str:
    return _models.of(model._meta.label)


def alias_label(alias: str) -> str:
    return _aliases.of(alias)


def _after_fork() -> None:
    _models.after_fork()
    _aliases.after_fork()


os.register_at_fork(after_in_child=_after_fork)
