"""Who, when, why and as part of what: the values that the history rows of one operation share."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple
from uuid import UUID

from ..context import current_context
from ..identifiers import uuid7
from ..operations import latest_operation

#: Attributes by which callers of simple-history tell it who, why and when.
BY_HAND = ("_history_user", "_change_reason", "_history_date")


class Stamp(NamedTuple):
    """What a history row says about its change, besides the row's own values.

    Attributes:
        moment: one for all rows of an operation.
        user: what the history's user column takes, usually a primary key.
        reason: in words, of any length.
        operation_id: the operation's UUID.
        correlation_id: of the request.
    """

    moment: datetime.datetime
    user: Any
    reason: str | None
    operation_id: UUID
    correlation_id: str | None


def fitting(reason: str | None, most: int | None) -> str | None:
    """``reason`` cut to a column of ``most`` characters, ``None`` for one without a limit."""
    return reason if reason is None or most is None or len(reason) <= most else reason[: most - 1] + "…"


# Defaults of the trail's own columns, for rows that simple-history itself creates.

_stamp: ContextVar[Stamp | None] = ContextVar("repository_stamp", default=None)


@contextmanager
def stamping(stamp: Stamp) -> Iterator[None]:
    """Let the rows that simple-history creates inside the block bear ``stamp``'s operation."""
    token = _stamp.set(stamp)
    try:
        yield
    finally:
        _stamp.reset(token)


def current_operation_id() -> UUID:
    """Id of the operation that runs, or a new one for a change outside every operation."""
    stamp = _stamp.get()
    if stamp is not None:
        return stamp.operation_id
    operation = latest_operation()
    return uuid7() if operation is None else operation.id


def current_correlation_id() -> str | None:
    """Correlation id of the surrounding context."""
    return current_context().correlation_id
