"""psycopg's own cursors, which tell the hooks what goes through them."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from ....resilience.statements import statement_kind
from ... import hooks
from ...observing import observed


def observe_cursors(connection: Any, wrapper: BaseDatabaseWrapper) -> None:
    """Have every cursor of psycopg's ``connection`` tell the hooks, in the name of ``wrapper``.

    Connections of a pool come back under another wrapper.
    """
    connection.repository_wrapper = weakref.ref(wrapper)
    connection.cursor_factory = _observed_cursor(connection.cursor_factory)
    connection.server_cursor_factory = _observed_cursor(connection.server_cursor_factory)


class ObservedCursor:
    """Put before one of psycopg's cursor classes."""

    #: Django's wrapper around this cursor need not tell the same again.
    tells_hooks = True

    connection: Any

    def execute(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        if not hooks.listeners:  # the rule, and every statement comes this way
            return super().execute(query, *args, **kwargs)  # type: ignore[misc]
        with self._observed(query):
            return super().execute(query, *args, **kwargs)  # type: ignore[misc]

    def executemany(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        with self._observed(query):
            return super().executemany(query, *args, **kwargs)  # type: ignore[misc]

    def stream(self, query: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        with self._observed(query):
            yield from super().stream(query, *args, **kwargs)  # type: ignore[misc]

    @contextmanager
    def copy(self, statement: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        with self._observed(statement), super().copy(statement, *args, **kwargs) as copy:  # type: ignore[misc]
            yield copy

    def _observed(self, query: Any) -> AbstractContextManager[Any]:
        wrapper = self.connection.repository_wrapper() if hooks.listeners else None
        if wrapper is None:
            return _UNOBSERVED
        kind = statement_kind(query)
        if kind == "read":  # which changes nothing that anybody would have to hear of afterwards
            hooks.tell_statement(wrapper, query, kind)
            return _UNOBSERVED
        is_idle = self.connection.info.transaction_status.name == "IDLE"
        return observed(wrapper, query, in_transaction=not (is_idle and self.connection.autocommit))


_UNOBSERVED = nullcontext()


@lru_cache(maxsize=16)
def _observed_cursor(kind: type[Any]) -> type[Any]:
    """``kind``, one of psycopg's or Django's cursor classes, as one that tells."""
    if issubclass(kind, ObservedCursor):
        return kind
    return type(f"Observed{kind.__name__}", (ObservedCursor, kind), {})
