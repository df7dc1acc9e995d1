"""Where a queryset sends its reads: each of these methods is an operation, or joins the one that runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.db import DatabaseError

from .operations import OperationSpec, run
from .resilience.repeatable import is_repeatable

R = TypeVar("R")


class ScopedTerminals:
    """Put before ``QuerySet`` in the bases of a queryset class: its reads take the one read path."""

    # What Django's QuerySet brings and this mixin uses.
    model: Any
    _result_cache: Any
    _prefetch_related_lookups: Any
    _prefetch_done: bool
    db: str
    iterator: Callable[..., Iterator[Any]]

    def _fetch_all(self) -> None:
        if self._result_cache is not None and (not self._prefetch_related_lookups or self._prefetch_done):
            return
        self._reading("select", super()._fetch_all)  # type: ignore[misc]

    def _iterator(self, *args: Any) -> Iterator[Any]:
        # The first step sends the query and is the operation. What the caller does between the steps is no
        # part of it, so the scope must not stay open while a row is handed out. A generator that has failed is
        # over, so each attempt makes its own; rows that were handed out are never read again.
        django: Callable[..., Iterator[Any]] = super()._iterator  # type: ignore[misc]
        end = object()

        def start() -> tuple[Any, Iterator[Any]]:
            rows = django(*args)
            return next(rows, end), rows

        first, rows = self._reading("iterate", start)
        if first is not end:
            yield first
            try:
                yield from rows
            except DatabaseError as error:
                from .operations.failures import fetch_failure

                raise fetch_failure(error, self.model, self.db) from (error.__cause__ or error)

    async def aiterator(self, chunk_size: int = 2000) -> AsyncIterator[Any]:
        """Django's ``aiterator``, with the query sent inside the operation scope."""
        rows = self.iterator(chunk_size)
        take = sync_to_async(lambda: list(islice(rows, chunk_size)))
        while chunk := await take():
            for row in chunk:
                yield row

    def count(self) -> int:
        django: Callable[[], int] = super().count  # type: ignore[misc]
        return self._reading("count", django)

    def exists(self) -> bool:
        django: Callable[[], bool] = super().exists  # type: ignore[misc]
        return self._reading("exists", django)

    def aggregate(self, *args: Any, **kwargs: Any) -> Any:
        django = super().aggregate  # type: ignore[misc]
        return self._reading("aggregate", lambda: django(*args, **kwargs))

    def explain(self, *args: Any, **kwargs: Any) -> Any:
        django = super().explain  # type: ignore[misc]
        return self._reading("explain", lambda: django(*args, **kwargs))

    def in_bulk(self, *args: Any, **kwargs: Any) -> Any:
        django = super().in_bulk  # type: ignore[misc]
        return self._reading("in_bulk", lambda: django(*args, **kwargs))

    def _reading(self, name: str, call: Callable[[], R]) -> R:
        return run(self._reading_spec(name), lambda _: call())

    def _reading_spec(self, name: str) -> OperationSpec:
        return OperationSpec(name, self.model, self.db, "read", partial(is_repeatable, self))
