"""The verbs that read."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar, cast, overload

from django.core.exceptions import ValidationError
from django.db import connections
from django.db.models import CompositePrimaryKey, IntegerField, Q

from .. import writing
from ..caching.compiled import KeyedRead
from ..exceptions import InvalidArgument, InvalidArgumentType
from ..operations import Attempt, run
from ..pagination import Page, PaginationRequest, check_caps, paginate
from ..resilience.deadlines import require_seconds
from ..types import Filters, Load, OrderBy, T
from .rows import Rows

R = TypeVar("R")


class ReadVerbs(Rows[T]):
    """get, list and their kin: always materialised, never lazy."""

    @overload
    def get(
        self,
        pk: Any,
        /,
        *,
        for_update: bool = ...,
        nowait: bool = ...,
        skip_locked: bool = ...,
        include_deleted: bool = ...,
        load: Load = ...,
        using: str | None = ...,
        deadline: float | None = ...,
    ) -> T: ...
    @overload
    def get(self, *args: Any, **kwargs: Any) -> T: ...
    def get(self, *args: Any, **kwargs: Any) -> T:
        """The row with this primary key; called with conditions it is Django's own ``get``.

        Args:
            for_update: lock the row until the surrounding transaction ends.
            nowait: with ``for_update``, fail at once when somebody else holds the lock.
            skip_locked: with ``for_update``, look past a row that somebody else holds.
            include_deleted: find a soft-deleted row too.
            load: relations to load with it.
            deadline: seconds that this may take, further attempts included.

        Raises:
            Model.DoesNotExist: there is no such row among these.
            TransactionManagementError: ``for_update`` outside a transaction.
        """
        if _is_key(args):
            return self._get_by_key(*args, **kwargs)
        if not args and "pk" in kwargs:
            if self._options_of(kwargs):
                return self._get_by_key(kwargs.pop("pk"), **kwargs)
            if len(kwargs) == 1:
                read = self._keyed_read(self._read_alias(None))
                if read is not None and type(kwargs["pk"]) is read.key_type:
                    return cast("T", self._read_one("get", read, kwargs["pk"]))
        return cast("T", cast("Any", super()).get(*args, **kwargs))

    def get_or_none(self, pk: Any, /, **options: Any) -> T | None:
        """As :meth:`get`, with ``None`` where there is no such row."""
        return self._find("get_or_none", pk, **options)

    def get_many(
        self,
        pks: Iterable[Any],
        /,
        *,
        include_deleted: bool = False,
        load: Load = (),
        using: str | None = None,
        deadline: float | None = None,
    ) -> dict[Any, T]:
        """The rows with these primary keys, by key and in the order asked for; missing ones are left out."""
        if isinstance(pks, str | bytes) or not isinstance(pks, Iterable):
            raise InvalidArgumentType(f"get_many() takes a sequence of keys, not {type(pks).__name__}.")
        keys = [primary_key(self.model, pk) for pk in pks]
        rows = self._selected(include_deleted=include_deleted, load=load, using=using)

        def body() -> dict[Any, T]:
            found = rows.in_bulk(keys)
            return {key: found[key] for key in dict.fromkeys(keys) if key in found}

        return self._read("get_many", rows, using, body, deadline=deadline)

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

        return self._read("get_by", rows, using, body)

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
            return self._read("list", rows, using, lambda: builtins.list(rows), deadline=deadline)
        if not isinstance(pagination, PaginationRequest):
            raise InvalidArgumentType(f"pagination= takes a PaginationRequest, not {type(pagination).__name__}.")
        check_caps(pagination, self._own_policies().filters)
        request = pagination
        return self._read("list", rows, using, lambda: paginate(rows, request), deadline=deadline)

    # A variable argument list, not a default: Django's paginator only calls a count() that takes no arguments.

    def count(self, *filters: Filters | None, **equals: Any) -> int:
        """How many rows match; without arguments Django's own ``count``."""
        if not filters and not equals:
            return cast("int", cast("Any", super()).count())  # Manager.count or QuerySet.count
        rows = self._selected(_only(filters, "count"), equals)
        return self._read("count", rows, None, rows.count)

    def exists(self, *filters: Filters | None, **equals: Any) -> bool:
        """Whether any row matches; without arguments Django's own ``exists``."""
        if not filters and not equals:
            return cast("bool", cast("Any", super()).exists())
        rows = self._selected(_only(filters, "exists"), equals)
        return self._read("exists", rows, None, rows.exists)

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

    def _get_by_key(self, pk: Any, /, **options: Any) -> T:
        return cast("T", self._find("get", pk, **options))

    def _find(
        self,
        name: str,
        pk: Any,
        /,
        *,
        for_update: bool = False,
        nowait: bool = False,
        skip_locked: bool = False,
        include_deleted: bool = False,
        load: Load = (),
        using: str | None = None,
        deadline: float | None = None,
    ) -> T | None:
        key = primary_key(self.model, pk)
        if (nowait or skip_locked) and not for_update:
            raise InvalidArgument("nowait= and skip_locked= say how to lock; they need for_update=True.")
        if not (for_update or include_deleted or load):
            read = self._keyed_read(self._read_alias(using))
            if read is not None:
                return self._read_one(name, read, key, deadline)
        rows = self._selected(include_deleted=include_deleted, load=load, using=using)
        if for_update:
            rows = rows.select_for_update(nowait=nowait, skip_locked=skip_locked, of=self._lockable(rows))

        def body() -> T | None:
            try:
                return rows.get(Q(("pk", key)))
            except self.model.DoesNotExist:  # type: ignore[attr-defined]
                if name == "get":
                    raise
                return None

        return self._read(name, rows, using, body, for_update=for_update, deadline=deadline)

    def _read_one(self, name: str, read: KeyedRead, key: Any, deadline: float | None = None) -> T | None:
        def body(attempt: Attempt) -> Any:
            values = read.fetch(key)
            if values is not None:
                return read.entity(values)
            if name == "get":
                raise self.model.DoesNotExist(f"{self.model._meta.object_name} matching query does not exist.")  # type: ignore[attr-defined]
            return None

        limit = None if deadline is None else require_deadline(deadline)
        return cast("T | None", run(self._own_policies().reading(name, self.model, read.alias, None, limit), body))

    def _lockable(self, rows: Any) -> tuple[str, ...]:
        """What a lock takes: the row, and not what is joined to it, which on PostgreSQL may be nullable."""
        can_choose = connections[self._write_alias(rows._db)].features.has_select_for_update_of
        if not can_choose or not rows.query.select_related:
            return ()
        links = (link for link in self.model._meta.parents.values() if link is not None)
        return ("self", *(link.name for link in links))

    def _options_of(self, kwargs: dict[str, Any]) -> bool:
        """Whether keywords of ``get(pk=…)`` are this verb's and not lookups of the model."""
        if len(kwargs) == 1:
            return False
        return kwargs.keys() - {"pk"} <= _GET_OPTIONS - {field.name for field in self.model._meta.get_fields()}

    def _read(
        self,
        name: str,
        rows: Any,
        using: str | None,
        body: Callable[[], R],
        *,
        for_update: bool = False,
        deadline: float | None = None,
    ) -> R:
        alias = self._write_alias(using) if for_update else self._read_alias(using)
        limit = None if deadline is None else require_deadline(deadline)
        return run(self._own_policies().reading(name, self.model, alias, rows, limit), lambda _: body())


def require_deadline(value: Any) -> float:
    """``value`` as a positive number of seconds.

    Raises:
        InvalidArgument: it is none.
    """
    try:
        return require_seconds(value)
    except ValueError as error:
        raise InvalidArgument(str(error)) from None


_GET_OPTIONS = frozenset({"for_update", "nowait", "skip_locked", "include_deleted", "load", "using", "deadline"})


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


def _is_key(args: tuple[Any, ...]) -> bool:
    """Whether ``get(*args)`` asks for a primary key: one argument that Django could not take as a condition."""
    if len(args) != 1:
        return False
    (value,) = args
    if isinstance(value, Q) or getattr(value, "conditional", False) or hasattr(value, "resolve_expression"):
        return False
    return not (isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str))


def primary_key(model: type[Any], value: Any) -> Any:
    """``value`` as the primary key's own type.

    Raises:
        InvalidArgument: it cannot be a key of this model.
    """
    if value is None or hasattr(value, "resolve_expression"):
        raise InvalidArgumentType(f"A primary key of {model._meta.label} cannot be {type(value).__name__}.")
    if hasattr(value, "_meta"):
        raise InvalidArgumentType(f"Expected a primary key of {model._meta.label}, not an instance.")
    pk = model._meta.pk
    fields = pk.fields if isinstance(pk, CompositePrimaryKey) else (pk,)
    values = value if isinstance(pk, CompositePrimaryKey) else (value,)
    if not isinstance(values, tuple | builtins.list) or len(values) != len(fields):
        raise InvalidArgument(f"A primary key of {model._meta.label} is a tuple of {len(fields)}.")
    try:
        key = tuple(_key_part(field, part) for field, part in zip(fields, values, strict=True))
    except (ValidationError, TypeError, ValueError):
        raise InvalidArgument(f"That is no primary key of {model._meta.label}.") from None
    return key if isinstance(pk, CompositePrimaryKey) else key[0]


def _key_part(field: Any, value: Any) -> Any:
    if isinstance(field, IntegerField) and isinstance(value, bool | float):
        raise TypeError("no number of a row")  # to_python would make 1 of 1.9
    return field.to_python(value)
