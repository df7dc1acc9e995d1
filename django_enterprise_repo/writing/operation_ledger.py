"""The ledger as a concern: what an operation came to is counted, and written down before its transaction ends.

Without the ledger's app nothing of this is active.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import Any

from django.db.models import Model

from ..auditing.family import reaches_history
from ..context import acting_user_id, current_context
from ..operations import Operation, active_operation
from .change import Change, Intent, S

_ledger: Any = None


def keep_in(ledger: Any) -> None:
    """Write operations into this model from now on; into none when it is ``None``."""
    global _ledger
    _ledger = ledger


def is_kept() -> bool:
    """Whether there is a ledger."""
    return _ledger is not None


class Tally:
    """What one operation has changed so far, and how deep it is in its own transactions."""

    __slots__ = ("counts", "depth", "is_written")

    def __init__(self) -> None:
        self.counts = {"added": 0, "changed": 0, "deleted": 0, "restored": 0}
        self.depth = 0
        self.is_written = False


class Ledger:
    """The concern behind audited models while a ledger is kept."""

    def applies_to(self, model: type[Model]) -> bool:
        return reaches_history(model)

    def prepare(self, change: Change) -> None:
        if is_kept() and change.begin is not None:
            change.begin()  # the ledger's row needs a transaction around both

    def fold(self, change: Change, statement: S) -> S:
        return statement

    def applied(self, change: Change, outcome: Any) -> None:
        if is_kept():
            _tally(change.operation).counts[_column(change, outcome)] += _rows(change, outcome)


def settled(alias: str, block: AbstractContextManager[Any]) -> AbstractContextManager[None]:
    """``block``, a transaction or savepoint, with the ledger written at the end of an operation's outermost one."""
    operation = active_operation(alias) if is_kept() else None
    return block if operation is None else _settled(alias, block, operation)


@contextmanager
def _settled(alias: str, block: AbstractContextManager[Any], operation: Operation) -> Iterator[None]:
    tally = _tally(operation)
    before = dict(tally.counts)
    tally.depth += 1
    try:
        with block:
            yield
            if tally.depth == 1 and tally.counts != before:
                _write(operation, tally, alias)
    except BaseException:
        tally.counts = before  # what was counted is rolled back
        raise
    finally:
        tally.depth -= 1


def _write(operation: Operation, tally: Tally, alias: str) -> None:
    duration = timedelta(seconds=time.perf_counter() - operation.started)
    rows = _ledger._base_manager.using(alias)
    if tally.is_written:  # the operation had several transactions, one after the other
        rows.filter(pk=operation.id).update(**tally.counts, duration=duration)
        return
    context = current_context()
    rows.bulk_create(
        [
            _ledger(
                id=operation.id,
                verb=operation.spec.name,
                model=operation.spec.model._meta.label,
                moment=operation.moment,
                user_id=acting_user_id(alias),
                reason=context.reason,
                correlation_id=context.correlation_id,
                duration=duration,
                **tally.counts,
            )
        ]
    )
    tally.is_written = True


def _tally(operation: Operation) -> Tally:
    if operation.tally is None:
        operation.tally = Tally()
    tally: Tally = operation.tally
    return tally


def _column(change: Change, outcome: Any) -> str:
    if change.kind == "-" or change.intent is Intent.DELETE:
        return "deleted"
    if change.intent is Intent.RESTORE:
        return "restored"
    is_insert = change.kind == "+" if change.entity is None else not outcome
    return "added" if is_insert else "changed"


def _rows(change: Change, outcome: Any) -> int:
    if change.kind == "-":
        return int(outcome)
    if change.entity is not None:
        return 1
    return len(outcome) if change.kind == "+" else int(outcome)
