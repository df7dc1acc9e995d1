"""Frozen configuration values that a ``Repository`` carries as class attributes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import Enum
from typing import Literal

#: Names that mean something else in a filter and can be no field's public name.
LOGIC_NAMES = frozenset({"and", "or", "not"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftDeletePolicy:
    """Which column says that a row is deleted.

    Attributes:
        field: name of the marker column.
        marker: ``"timestamp"`` (null means alive) or ``"flag"`` (true means alive).
        deleted_by: column that takes the user who deleted, if the model has it.
        deletion_id: column that takes the id of the deletion, if the model has it.
    """

    field: str
    marker: Literal["timestamp", "flag"] = "timestamp"
    deleted_by: str = "deleted_by"
    deletion_id: str = "deletion_id"

    def __post_init__(self) -> None:
        if self.marker not in ("timestamp", "flag"):
            raise ValueError("SoftDeletePolicy.marker is 'timestamp' or 'flag'.")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """How long the history of a model is kept. Nothing goes by itself: ``manage.py repository_audit prune`` does it.

    A history row may go when it is older than ``history`` and not among the last ``keep_versions`` of its row. What
    is left of a row that was deleted for good goes too, when its deletion is older than ``history``.

    Attributes:
        history: the period; ``None`` keeps everything.
        keep_versions: how many of the last history rows of each row stay, however old. Those of one moment count in
            the order in which they were written.
        keep_baseline: keep as well the last history row from before the period, at most one for each row: without it
            the state at a moment within the period could not always be read.
        keep_deleted: keep the last versions of rows that were deleted for good, too.
    """

    history: timedelta | None = None
    keep_versions: int = 1
    keep_baseline: bool = True
    keep_deleted: bool = False

    def __post_init__(self) -> None:
        if self.history is not None and not _is_period(self.history):
            raise ValueError("RetentionPolicy.history is a timedelta of more than nothing and at most 1,000 years.")
        if type(self.keep_versions) is not int or self.keep_versions < 1:
            raise ValueError("RetentionPolicy.keep_versions is a positive int.")
        for switch in ("keep_baseline", "keep_deleted"):
            if type(getattr(self, switch)) is not bool:
                raise ValueError(f"RetentionPolicy.{switch} is True or False.")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often an operation is tried, and how long it may take.

    Only what is known not to have been applied is tried again, and reads that change nothing. Inside a transaction
    nothing is: what failed there takes the whole transaction with it.

    Attributes:
        attempts: tries in all, the first one included; 1 means no retries.
        deadline: seconds that the whole operation may take, waits included. With an engine of this package a database
            that says nothing is cut off then; ``None`` for no limit.
        wait: seconds that the wait before the second attempt is at most. It doubles with each further attempt.
        max_wait: seconds that a wait is at most.
    """

    attempts: int = 3
    deadline: float | None = None
    wait: float = 0.05
    max_wait: float = 1.0

    def __post_init__(self) -> None:
        if type(self.attempts) is not int or self.attempts < 1:
            raise ValueError("RetryPolicy.attempts is a positive int.")
        if self.deadline is not None and not _is_seconds(self.deadline):
            raise ValueError("RetryPolicy.deadline is a positive number of seconds, or None.")
        for name in ("wait", "max_wait"):
            if not _is_seconds(getattr(self, name)):
                raise ValueError(f"RetryPolicy.{name} is a positive number of seconds.")
        if self.wait > self.max_wait:
            raise ValueError("RetryPolicy.wait is at most max_wait.")
        if self.deadline is not None and self.wait >= self.deadline:
            raise ValueError("RetryPolicy.wait is shorter than the deadline: no second attempt could start in time.")


#: What a repository's ``retry`` and ``breaker`` say where the project's settings decide.
Project = Literal["project"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """When a database is left alone, and how it is tried again. All times are seconds.

    A circuit opens after ``fail_max`` failures in a row, or when too large a part of the calls of the last ``window``
    failed or were slow. Each opening that follows another one, from half-open or within ``window`` of closing, keeps
    it open twice as long as the one before.

    Attributes:
        fail_max: failures in a row that open the circuit.
        reset_timeout: how long it first stays open.
        max_reset_timeout: the longest it stays open, jitter aside.
        jitter: part of the open period that is added at random, so that processes do not come back together.
        window: how far back calls are remembered; kept in buckets of one second.
        minimum_calls: calls the window must hold before its ratios count.
        failure_ratio: part of them that failed and opens the circuit.
        slow_call: a call that takes longer is slow, though it succeeded; ``None`` measures none.
        slow_ratio: part of them that were slow and opens the circuit.
        permits: probes at once while half-open.
        probe_timeout: a probe that takes longer has lost its permit to the next one, and its vote.
        success_threshold: probes that must succeed to close the circuit.
    """

    fail_max: int = 5
    reset_timeout: float = 5.0
    max_reset_timeout: float = 60.0
    jitter: float = 0.2
    window: float = 30.0
    minimum_calls: int = 20
    failure_ratio: float = 0.5
    slow_call: float | None = None
    slow_ratio: float = 0.8
    permits: int = 1
    probe_timeout: float = 10.0
    success_threshold: int = 1

    def __post_init__(self) -> None:
        for name in ("fail_max", "minimum_calls", "permits", "success_threshold"):
            if type(getattr(self, name)) is not int or getattr(self, name) < 1:
                raise ValueError(f"BreakerPolicy.{name} is a positive int.")
        for name in ("reset_timeout", "max_reset_timeout", "probe_timeout"):
            if not _is_number(getattr(self, name)) or getattr(self, name) <= 0:
                raise ValueError(f"BreakerPolicy.{name} is a positive number of seconds.")
        for name in ("failure_ratio", "slow_ratio"):
            if not _is_number(getattr(self, name)) or not 0 < getattr(self, name) <= 1:
                raise ValueError(f"BreakerPolicy.{name} is above 0 and at most 1.")
        if not _is_number(self.jitter) or not 0 <= self.jitter <= 1:
            raise ValueError("BreakerPolicy.jitter is between 0 and 1.")
        if not _is_number(self.window) or not 1 <= self.window <= 3600:
            raise ValueError("BreakerPolicy.window is between 1 and 3,600 seconds.")
        if self.slow_call is not None and (not _is_number(self.slow_call) or self.slow_call <= 0):
            raise ValueError("BreakerPolicy.slow_call is a positive number of seconds, or None.")
        if self.max_reset_timeout < self.reset_timeout:
            raise ValueError("BreakerPolicy.max_reset_timeout is shorter than reset_timeout.")
        if self.slow_call is not None and self.slow_call >= self.probe_timeout:
            raise ValueError("BreakerPolicy.probe_timeout ends before a call counts as slow: no slow probe had a vote.")


class CacheStrategy(Enum):
    """How the cache gets its values."""

    #: A read that misses fills it; a write only invalidates.
    READ_THROUGH = "read_through"
    #: A write fills it too. Needs a cache that a script can be sent to, which no check accepts yet.
    WRITE_THROUGH = "write_through"


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePolicy:
    """How rows that are read by their primary key are cached. All times are seconds.

    Attributes:
        ttl: how long a row is kept; ``jitter`` spreads it, so that rows cached together do not leave together.
        alias: the cache, one of ``CACHES``.
        strategy: how it is filled.
        jitter: part of ``ttl`` that is taken off or added at random.
        lock_ttl: how long a written row is not cached. Has to cover the time from the lock to the end of the
            transaction: with an engine of this package the lock is taken right before COMMIT, with Django's own
            before the statement.
        negative_ttl: how long to remember that there is no such row; ``None`` does not. Inserts have to lock then, too.
    """

    ttl: float = 300.0
    alias: str = "default"
    strategy: CacheStrategy = CacheStrategy.READ_THROUGH
    jitter: float = 0.1
    lock_ttl: float = 30.0
    negative_ttl: float | None = None

    def __post_init__(self) -> None:
        if not _is_seconds(self.ttl) or self.ttl > _LONGEST_KEPT:
            raise ValueError("CachePolicy.ttl is a positive number of seconds, 30 days at most.")
        if not self.alias or type(self.alias) is not str:
            raise ValueError("CachePolicy.alias is the name of a cache.")
        if not isinstance(self.strategy, CacheStrategy):
            raise ValueError("CachePolicy.strategy is a CacheStrategy.")
        if not _is_number(self.jitter) or not 0 <= self.jitter <= 0.5:
            raise ValueError("CachePolicy.jitter is between 0 and 0.5.")
        if not _is_seconds(self.lock_ttl) or not 1 <= self.lock_ttl <= 3600:
            raise ValueError("CachePolicy.lock_ttl is between 1 and 3,600 seconds.")
        if self.negative_ttl is not None and (not _is_seconds(self.negative_ttl) or self.negative_ttl > _LONGEST_KEPT):
            raise ValueError("CachePolicy.negative_ttl is a positive number of seconds, 30 days at most, or None.")


#: memcached takes a longer time for a date.
_LONGEST_KEPT = 30 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class FilterField:
    """One name that a dict filter may use.

    Attributes:
        name: what clients write; it may contain dots, and need not be a column's name.
        path: the column, or a way to it over relations that lead to one row, or into a JSON column, in
            Django's ``__`` notation. The name itself when left out.
        type: ``str``, ``int``, ``float``, ``Decimal`` or ``bool``; required for JSON paths, and only there.
        operators: the operators allowed, all that fit the type when left out. ``"regex"`` has to be named.
        order: whether ``order_by`` may use the name.
    """

    name: str
    path: str | None = None
    type: type | None = None
    operators: tuple[str, ...] | None = None
    order: bool = True

    def __post_init__(self) -> None:
        if not self.name or self.name in LOGIC_NAMES or ":" in self.name:
            raise ValueError(f"{self.name!r} cannot be the name of a filter field.")
        if self.type not in (None, str, int, float, Decimal, bool):
            raise ValueError(f"The type of filter field {self.name!r} is str, int, float, Decimal or bool.")
        if isinstance(self.operators, str):
            raise ValueError(f"The operators of filter field {self.name!r} are a tuple of names.")


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterPolicy:
    """Which names dict filters and orderings may use, and how much of everything.

    Without ``fields`` a model's own columns are open by name and attribute name, except the sensitive ones:
    nothing across relations, nothing inside JSON. With ``fields`` only those are.

    Attributes:
        fields: declared names; a plain string is a column under its own name.
        sensitive: columns that stay closed without ``fields``, besides ``password``.
        ordering: the order when a caller gives none, in the grammar of ``order_by``.
        max_depth: how deep objects may nest.
        max_conditions: how many conditions there may be in all.
        max_list: items in a list value.
        max_text: characters in a text value.
        max_pattern: characters in a pattern.
        max_wildcards: ``%`` in a pattern.
        max_order: terms of an ``order_by``.
        max_limit: rows a page; ``ENTERPRISE_REPO["PAGE_LIMIT"]`` when left out.
        max_offset: rows a page may skip.
    """

    fields: tuple[str | FilterField, ...] = ()
    sensitive: tuple[str, ...] = ()
    ordering: tuple[str, ...] = ()
    max_depth: int = 5
    max_conditions: int = 50
    max_list: int = 500
    max_text: int = 1000
    max_pattern: int = 255
    max_wildcards: int = 10
    max_order: int = 5
    max_limit: int | None = None
    max_offset: int = 10_000

    def __post_init__(self) -> None:
        _require_tuple(self.fields, "fields", (str, FilterField))
        _require_tuple(self.sensitive, "sensitive", (str,))
        _require_tuple(self.ordering, "ordering", (str,))
        names = [field.name for field in self.declared()]
        if len(set(names)) != len(names):
            raise ValueError("FilterPolicy.fields declares a name twice.")
        for cap in _CAPS:
            value = getattr(self, cap)
            if value is None and cap == "max_limit":
                continue
            if type(value) is not int or value < (0 if cap == "max_offset" else 1):
                raise ValueError(f"FilterPolicy.{cap} is a positive int.")

    def declared(self) -> tuple[FilterField, ...]:
        """The declared fields, plain strings made into ``FilterField``."""
        return tuple(FilterField(field) if isinstance(field, str) else field for field in self.fields)


_CAPS = (
    "max_depth",
    "max_conditions",
    "max_list",
    "max_text",
    "max_pattern",
    "max_wildcards",
    "max_order",
    "max_limit",
    "max_offset",
)


def _is_period(value: object) -> bool:
    return isinstance(value, timedelta) and timedelta() < value <= timedelta(days=365_000)


def _is_seconds(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]


def _require_tuple(value: object, name: str, types: tuple[type, ...]) -> None:
    if not isinstance(value, tuple):
        raise ValueError(f"FilterPolicy.{name} is a tuple.")
    if not all(isinstance(item, types) for item in value):
        raise ValueError(f"FilterPolicy.{name} holds {' or '.join(kind.__name__ for kind in types)}.")
