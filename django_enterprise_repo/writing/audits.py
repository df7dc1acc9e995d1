"""The history as a concern: every change is recorded in its own transaction, by as few statements as can be.

PostgreSQL changes and records in one statement. SQLite answers the keys of the rows that it changed; elsewhere, and for
models of several tables, the keys are fixed and locked before. Either way one ``INSERT … SELECT`` follows, which
reads the rows as they now are, so expressions, deferred columns and values made by the database need no care.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.db import NotSupportedError, connections
from django.db.models import Model, QuerySet

from ..auditing.history import refuse_elsewhere, takes_write_path
from ..auditing.objects import copy_objects
from ..auditing.stamps import BY_HAND, Stamp
from ..auditing.statements import change_and_copy, copy_keys, copy_rows
from ..auditing.tables import HistoryTable, has_history, is_recording, tables_of
from ..context import acting_user
from ..exceptions import HistoryMismatch
from . import compiling
from .change import Change, Rows, S, Update
from .locking import locked_keys
from .transactions import has_parents, is_recorded_in_one_statement

# Keys that one statement may list; from a thousand on MariaDB makes a temporary table of them.
_CHUNK = 900


class _Record:
    """What the record of one change has come to so far."""

    __slots__ = ("is_complete", "keys", "recorded", "stamps")

    def __init__(self, stamps: dict[HistoryTable, Stamp]) -> None:
        self.stamps = stamps
        #: Keys of the rows that were changed and are still to be recorded.
        self.keys: Sequence[Any] = ()
        self.recorded = 0
        #: Whether the statement itself has recorded what it changed.
        self.is_complete = False


class Audit:
    """The concern behind models with a history."""

    def applies_to(self, model: type[Model]) -> bool:
        return has_history(model)

    def prepare(self, change: Change) -> None:
        tables = _tables_to_write(change)
        if not tables:
            return
        for table in tables:
            refuse_elsewhere(table, change.alias)
        record = _Record({table: table.stamp(change.operation, change.alias, change.entity) for table in tables})
        change.memo[Audit] = record
        if change.kind == "-":
            for table, stamp in record.stamps.items():
                record.recorded = _copy_deleted(table, change, stamp)
        elif change.kind == "+" and change.begin is not None:
            change.begin()

    def fold(self, change: Change, statement: S) -> S:
        record = change.memo.get(Audit)
        if record is None or not isinstance(statement, Update):
            return statement
        fold = _fold_set if change.entity is None else _fold_save
        return fold(change, record, statement)  # type: ignore[return-value]  # S is Update here

    def applied(self, change: Change, outcome: Any) -> None:
        record = change.memo.get(Audit)
        if record is None or record.is_complete:
            return
        if change.kind == "-":
            _require_equal(change.model, outcome, record.recorded)
        elif change.entity is not None:
            _copy_saved(change, record, "~" if outcome else "+")
        elif change.kind == "+":
            _copy_inserted(change, record, outcome)
        else:
            _copy_changed(change, record, outcome)


def _tables_to_write(change: Change) -> list[HistoryTable]:
    """The histories of ``change`` that simple-history's own receivers don't keep."""
    if change.raw or not is_recording():
        return []
    tables = list(tables_of(change.model))
    if change.fields is not None:
        tables = [table for table in tables if _is_touched(table, change)]
    if change.entity is not None and change.kind != "-":
        if not takes_write_path(change.model):
            return []  # Django saves it, and the receivers record it
        if hasattr(change.entity, "skip_history_when_saving"):
            return []  # simple-history's way of saving without a record
    if change.kind == "-":  # the rows of inherited tables are deletions of their own
        tables = [table for table in tables if table.model is change.model._meta.concrete_model]
    if change.entity is not None or change.kind == "-":
        tables = [table for table in tables if not table.is_kept_by_signals(change.model)]
    return tables


def _is_touched(table: HistoryTable, change: Change) -> bool:
    assert change.fields is not None
    concrete = change.model._meta.concrete_model
    if table.model is concrete:
        return True
    return any({field.name, field.attname} & change.fields for field in table.model._meta.concrete_fields)


# Saves of one entity.


def _fold_save(change: Change, record: _Record, statement: Update) -> Update:
    (table, stamp), *_ = record.stamps.items()
    is_plain = compiling.is_plain_save(statement)
    if not is_plain or not is_recorded_in_one_statement(change.model, change.alias):
        if change.begin is not None:
            change.begin()
        return statement.sent_by(compiling.send_save) if is_plain else statement

    def send(statement: Update) -> Any:
        sql, params = compiling.save_sql(statement, connections[change.alias])
        changed = change_and_copy(table, change.alias, sql, params, stamp)
        record.is_complete = changed > 0
        return compiling.as_returned(changed)

    # Where there is no row to update Django goes on and inserts one, which is a second statement.
    return statement.sent_by(send) if change.begin is None else statement.sent_by(send).on_miss(change.begin)


def _copy_saved(change: Change, record: _Record, kind: str) -> None:
    assert change.entity is not None
    for table, stamp in record.stamps.items():
        count = _copy_keys(table, change, [change.entity.pk], kind, stamp, change.entity)
        _require_equal(change.model, 1, count)


# Updates of a set.


def _fold_set(change: Change, record: _Record, statement: Update) -> Update:
    (table, stamp), *_ = record.stamps.items()
    if is_recorded_in_one_statement(change.model, change.alias):

        def send(statement: Update) -> int:
            sql, params = compiling.update_sql(statement)
            if not sql:
                return 0
            record.is_complete = True
            return change_and_copy(table, change.alias, sql, params, stamp)

        return statement.sent_by(send)

    original = statement.sender
    if compiling.can_return_keys(change.model, change.alias):

        def send_returning(statement: Update) -> int:
            record.keys = compiling.update_returning_keys(statement)
            return len(record.keys)

        return statement.sent_by(send_returning)

    def send_frozen(statement: Update) -> int:
        record.keys = locked_keys(statement.narrowed())
        # One UPDATE, however long the list: a second would look at rows that the first has changed.
        return int(original(statement.where(compiling.key_in(statement, record.keys)))) if record.keys else 0

    return statement.sent_by(send_frozen)


def _copy_changed(change: Change, record: _Record, changed: int) -> None:
    # Rows that the database has set by itself are listed by the change.
    keys = record.keys if isinstance(change.rows, Rows) else change.rows
    for table, stamp in record.stamps.items():
        recorded = sum(_copy_keys(table, change, chunk, "~", stamp) for chunk in _chunks(keys))
        _require_equal(change.model, changed, recorded)


# Bulk inserts.


def _copy_inserted(change: Change, record: _Record, entities: Sequence[Model]) -> None:
    if any(entity.pk is None for entity in entities):
        raise NotSupportedError(
            f"{connections[change.alias].display_name} does not tell the keys of the rows it inserts in bulk, so the "
            f"history of {change.model._meta.label} would be missing."
        )
    by_hand = [entity for entity in entities if any(name in entity.__dict__ for name in BY_HAND)]
    told = {id(entity) for entity in by_hand}
    keys = [entity.pk for entity in entities if id(entity) not in told]
    for table, stamp in record.stamps.items():
        recorded = sum(_copy_keys(table, change, chunk, "+", stamp) for chunk in _chunks(keys))
        for entity in by_hand:
            own = table.stamp(change.operation, change.alias, entity)
            recorded += _copy_keys(table, change, [entity.pk], "+", own, entity)
        _require_equal(change.model, len(entities), recorded)


# Deletions.


def _copy_deleted(table: HistoryTable, change: Change, stamp: Stamp) -> int:
    """Record the rows that are about to be deleted, while they are still there."""
    keys = () if isinstance(change.rows, Rows) else change.rows
    recorded = sum(_copy_keys(table, change, chunk, "-", stamp, change.entity) for chunk in _chunks(keys))
    for rows in change.sets:
        recorded += _copy(table, rows, "-", stamp)
    return recorded


# What all of them share.


def _copy_keys(
    table: HistoryTable,
    change: Change,
    keys: Sequence[Any],
    kind: str,
    stamp: Stamp,
    entity: Model | None = None,
) -> int:
    if has_parents(change.model) or table.needs_objects(connections[change.alias].vendor):
        rows: QuerySet[Any] = QuerySet(change.model, using=change.alias)
        return _copy(table, rows.filter(pk__in=keys), kind, stamp, entity)
    return copy_keys(table, change.alias, keys, kind, stamp)


def _copy(table: HistoryTable, rows: QuerySet[Any], kind: str, stamp: Stamp, entity: Model | None = None) -> int:
    if table.needs_objects(connections[rows.db].vendor):
        return copy_objects(table, rows, kind, stamp, acting_user(rows.db), entity)
    return copy_rows(table, rows, kind, stamp)


def _chunks(keys: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(keys), _CHUNK):
        yield keys[start : start + _CHUNK]


def _require_equal(model: type[Model], changed: int, recorded: int) -> None:
    if changed != recorded:
        raise HistoryMismatch(model)
