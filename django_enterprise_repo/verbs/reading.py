"""The verbs that read."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from django.db import connections

from .. import writing
from ..exceptions import InvalidArgument, InvalidArgumentType
from ..pagination import Page, PaginationRequest, check_caps, paginate
from ..types import Filters, Load, OrderBy, T
from .keyed import KeyVerbs

if TYPE_CHECKING:
    pass

R = TypeVar("R")


class ReadVerbs(KeyVerbs[T]):
    """list and its kin: always materialised, never lazy."""

    def get_by(
        self,
        filters: Filters | None = None,
        /,
        *,
        include_deleted: bool = False,
        load: Load = (),
        using: str | None = None,
        **equals: Any,
    ) -> T | None:
        """The one row that matches, or ``None``.

        Raises:
            Model.MultipleObjectsReturned: several match.
            InvalidFilter: the dict is not within the filter policy.
            InvalidArgument: no condition at all.
        """
        options = {"include_deleted": include_deleted, "load": load, "using": using}
        if filters is None:
            writing.arguments.refuse_ambiguous(self.model, [name for name, value in options.items() if value])
        if not filters and not equals:
            raise InvalidArgument("get_by() needs a condition.")
        rows = self._selected(filters, equals, include_deleted=include_deleted, load=load, using=using)

        def body() -> T | None:
            try:
                return rows.get()
            except self.model.DoesNotExist:  # type: ignore[attr-defined]
                return None

        return self._read("get_by", rows, using, lambda _: body())

    @overload
    def list(
        self,
        filters: Filters | None = ...,
        order_by: OrderBy | None = ...,
        pagination: None = ...,
        include_deleted: bool = ...,
        load: Load = ...,
        only: Iterable[str] = ...,
        using: str | None = ...,
        deadline: float | None = ...,
    ) -> builtins.list[T]: ...
    @overload
    def list(
        self,
        filters: Filters | None,
        order_by: OrderBy | None,
        pagination: PaginationRequest,
        include_deleted: bool = ...,
        load: Load = ...,
        only: Iterable[str] = ...,
        using: str | None = ...,
        deadline: float | None = ...,
    ) -> Page[T]: ...
    @overload
    def list(
        self,
        filters: Filters | None = ...,
        order_by: OrderBy | None = ...,
        *,
        pagination: PaginationRequest,
        include_deleted: bool = ...,
        load: Load = ...,
        only: Iterable[str] = ...,
        using: str | None = ...,
        deadline: float | None = ...,
    ) -> Page[T]: ...
    def list(
        self,
        filters: Filters | None = None,
        order_by: OrderBy | None = None,
        pagination: PaginationRequest | None = None,
        include_deleted: bool = False,
        load: Load = (),
        only: Iterable[str] = (),
        using: str | None = None,
        deadline: float | None = None,
    ) -> builtins.list[T] | Page[T]:
        """The matching rows in order, or with ``pagination`` one page of them. Nothing is left lazy.

        Args:
            filters: a dict filter within the repository's policy.
            order_by: terms such as ``"price:desc"``; the primary key is appended as the last.
            pagination: which page; its caps are the policy's.
            include_deleted: soft-deleted rows too.
            load: relations to load with the rows.
            only: names of the columns to load; the rest is fetched when it is touched.
            deadline: seconds that this may take, further attempts included.

        Raises:
            InvalidFilter, InvalidOrdering, InvalidPagination: with every problem found.
        """
        rows = self._selected(filters, include_deleted=include_deleted, load=load, using=using)
        rows = self._ordered(rows, order_by)
        rows = _with_only(rows, only)
        if pagination is None:
            return self._read("list", rows, using, lambda _: builtins.list(rows), deadline=deadline)
        if not isinstance(pagination, PaginationRequest):
            raise InvalidArgumentType(f"pagination= takes a PaginationRequest, not {type(pagination).__name__}.")
        check_caps(pagination, self._own_policies().filters)
        request = pagination
        return self._read("list", rows, using, lambda _: paginate(rows, request), deadline=deadline)

    # A variable argument list, not a default: Django's paginator only calls a count() that takes no arguments.

    def count(self, *filters: Filters | None, **equals: Any) -> int:
        """How many rows match; without arguments Django's own ``count``."""
        if not filters and not equals:
            return cast("int", cast("Any", super()).count())  # Manager.count or QuerySet.count
        rows = self._selected(_only(filters, "count"), equals)
        return self._read("count", rows, None, lambda _: rows.count())

    def exists(self, *filters: Filters | None, **equals: Any) -> bool:
        """Whether any row matches; without arguments Django's own ``exists``."""
        if not filters and not equals:
            return cast("bool", cast("Any", super()).exists())
        rows = self._selected(_only(filters, "exists"), equals)
        return self._read("exists", rows, None, lambda _: rows.exists())

    def stream(
        self,
        filters: Filters | None = None,
        order_by: OrderBy | None = None,
        chunk_size: int = 2000,
        *,
        include_deleted: bool = False,
        load: Load = (),
        only: Iterable[str] = (),
        using: str | None = None,
    ) -> Iterator[T]:
        """The matching rows one after the other, in memory that does not grow with their number.

        ``chunk_size`` is the number of rows held at a time. On MariaDB, whose driver fetches whole results,
        the chunks are read in the order of the primary key, and any other order is refused.

        Raises:
            InvalidFilter, InvalidOrdering: with every problem found, at the call and not at the first row.
            InvalidArgument: another order than the primary key's on MariaDB, or a chunk size below 1.
        """
        if type(chunk_size) is not int or chunk_size < 1:
            raise InvalidArgument("chunk_size= takes a positive int.")
        rows = self._selected(filters, include_deleted=include_deleted, load=load, using=using)
        rows = _with_only(rows, only)
        alias = self._read_alias(using)
        if connections[alias].vendor == "mysql":
            if order_by or rows.query.order_by:
                raise InvalidArgument(
                    "stream() on MariaDB reads in the order of the primary key: its driver would fetch the whole "
                    "result for any other. Leave order_by= out, or use list() with pages."
                )
            return rows.chunked_by_key(chunk_size)
        if order_by is None and not rows.query.order_by:
            return rows.order_by("pk").iterator(chunk_size)
        return self._ordered(rows, order_by).iterator(chunk_size)


def _with_only(rows: R, only: Iterable[str]) -> R:
    """``rows`` with these columns loaded, and those that joined relations hang on."""
    if isinstance(only, str) or not isinstance(only, Iterable):
        raise InvalidArgumentType(f"only= takes a sequence of column names, not {type(only).__name__}.")
    names = tuple(only)
    if not names:
        return rows
    queryset = cast("Any", rows)
    joined = queryset.query.select_related
    return cast("R", queryset.only(*names, *(joined if isinstance(joined, dict) else ())))


def _only(filters: tuple[Filters | None, ...], verb: str) -> Filters | None:
    if len(filters) > 1:
        raise InvalidArgumentType(f"{verb}() takes one dict of filters, not {len(filters)}.")
    return filters[0] if filters else None
