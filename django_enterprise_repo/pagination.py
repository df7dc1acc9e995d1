"""Pages: what is asked for, what comes back, and how little counting it takes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, TypeVar, overload

from django.db.models import QuerySet

from .conf import page_limit
from .exceptions import InvalidPagination, Problem
from .policies import FilterPolicy

T = TypeVar("T")
Total = Literal["exact", "capped", "none"]

_DEFAULT_LIMIT = 20
_DIGITS = re.compile(r"[0-9]{1,19}", re.ASCII)
_TOTALS = ("exact", "capped", "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class PaginationRequest:
    """Which page.

    Attributes:
        offset: rows to skip.
        limit: rows a page.
        total: how to count all rows: ``"exact"``; ``"capped"`` stops at ``cap``; ``"none"`` does not count.
        cap: where a capped count stops.

    Raises:
        InvalidPagination: a number that cannot be meant.
    """

    offset: int = 0
    limit: int = _DEFAULT_LIMIT
    total: Total = "exact"
    cap: int = 10_000

    def __post_init__(self) -> None:
        problems = []
        for name, least in (("offset", 0), ("limit", 1), ("cap", 1)):
            value = getattr(self, name)
            if type(value) is not int:
                problems.append(Problem((name,), "invalid_integer", f"expected an integer, not {type(value).__name__}"))
            elif not least <= value < 2**31:
                problems.append(Problem((name,), "out_of_range", f"expected an integer from {least} on"))
        if self.total not in _TOTALS:
            problems.append(Problem(("total",), "invalid_choice", f"expected one of {', '.join(_TOTALS)}"))
        if problems:
            raise InvalidPagination(problems)


@dataclass(frozen=True, slots=True, repr=False)
class Page(Sequence[T], Generic[T]):
    """Some rows of many, already loaded.

    Attributes:
        items: the rows of this page.
        request: what was asked for.
        total_count: how many rows there are on all pages; ``None`` when nobody counted.
        total_is_exact: ``False`` when the count stopped at its cap.
        has_next: whether there are rows behind this page.
        has_previous: whether there are rows before it.
    """

    items: tuple[T, ...]
    request: PaginationRequest
    total_count: int | None
    total_is_exact: bool
    has_next: bool
    has_previous: bool

    @property
    def offset(self) -> int:
        """Rows before this page."""
        return self.request.offset

    @property
    def limit(self) -> int:
        """Most rows a page has."""
        return self.request.limit

    @property
    def next(self) -> PaginationRequest | None:
        """The request for the page behind this one, ``None`` on the last."""
        return replace(self.request, offset=self.offset + self.limit) if self.has_next else None

    @property
    def previous(self) -> PaginationRequest | None:
        """The request for the page before this one, ``None`` on the first."""
        return replace(self.request, offset=max(0, self.offset - self.limit)) if self.has_previous else None

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        return self.items[index]

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __repr__(self) -> str:
        known = "not counted" if self.total_count is None else f"of {self.total_count}"
        return f"<Page: {len(self)} rows from {self.offset}, {known}>"


def parse_pagination(params: Mapping[str, Any], policy: FilterPolicy | None = None) -> PaginationRequest:
    """The page that a client's parameters ask for; numbers may be text of ASCII digits, as in a query string.

    Raises:
        InvalidPagination: with every problem found, the caps of ``policy`` included.
    """
    policy = policy or FilterPolicy()
    if not isinstance(params, Mapping):
        raise InvalidPagination([Problem((), "invalid_pagination", "expected an object")])
    problems: list[Problem] = []
    given: dict[str, Any] = {}
    for name, value in params.items():
        if name in ("offset", "limit"):
            given[name] = _number(name, value, problems)
        elif name == "cursor":
            both = "offset" in params
            message = "offset and cursor exclude each other" if both else "cursors are not supported here; use offset"
            problems.append(Problem(("cursor",), "invalid_cursor", message))
        else:
            shown = repr(str(name)[:60])
            problems.append(Problem((), "unknown_parameter", f"unknown parameter {shown}"))
    if problems:
        raise InvalidPagination(problems[:20])
    given.setdefault("limit", min(_DEFAULT_LIMIT, _most_rows(policy)))
    request = PaginationRequest(**given)
    check_caps(request, policy)
    return request


def check_caps(request: PaginationRequest, policy: FilterPolicy) -> None:
    """Refuse a page that is larger or further away than ``policy`` allows.

    Raises:
        InvalidPagination: naming the cap.
    """
    problems = []
    most = _most_rows(policy)
    if request.limit > most:
        problems.append(Problem(("limit",), "over_cap", f"a page has at most {most} rows (max_limit)"))
    if request.offset > policy.max_offset:
        problems.append(Problem(("offset",), "over_cap", f"a page skips at most {policy.max_offset} rows (max_offset)"))
    if problems:
        raise InvalidPagination(problems)


def paginate(rows: QuerySet[Any], request: PaginationRequest) -> Page[Any]:
    """Load one page of ``rows``, which must be in a total order.

    One row more than asked for tells whether there are more; where the page itself tells the total, nothing
    is counted. Page and count are two statements: under concurrent writes they may disagree by what was
    written between them, unless both run in one REPEATABLE READ transaction.
    """
    start, size = request.offset, request.limit
    found = list(rows[start : start + size + 1])
    items, has_next = tuple(found[:size]), len(found) > size
    if request.total == "none":
        total, exact = None, False
    elif not has_next and (items or start == 0):
        total, exact = start + len(items), True
    elif request.total == "exact":
        total, exact = rows.order_by().count(), True
    else:
        counted = rows.order_by().values("pk")[: request.cap + 1].count()
        total, exact = min(counted, request.cap), counted <= request.cap
    return Page(items, request, total, exact, has_next, start > 0)


def _most_rows(policy: FilterPolicy) -> int:
    return page_limit() if policy.max_limit is None else policy.max_limit


def _number(name: str, value: Any, problems: list[Problem]) -> int:
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if type(value) is not int:
        problems.append(Problem((name,), "invalid_integer", "expected an integer"))
        return 1
    return value
