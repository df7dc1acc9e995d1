"""The history as a concern: every change is recorded in its own transaction, by as few statements as can be.

PostgreSQL changes and records in one statement. On SQLite the same conditions find the rows again, or it answers the
keys of those that it changed; elsewhere, and for models of several tables, the keys are fixed and locked before. Either
way ``INSERT … SELECT`` follows, which reads the rows as they now are, so expressions, deferred columns and values made
by the database need no care.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from django.db import NotSupportedError, connections
from django.db.models import Model, QuerySet

from ..auditing.family import Relative, reaches_history, relatives_of, touches
from ..auditing.history import refuse_elsewhere, takes_write_path
from ..auditing.stamps import BY_HAND, Stamp
from ..auditing.statements import change_and_copy, change_and_copy_one
from ..auditing.tables import HistoryTable, is_recording, tables_of
from . import compiling
from .change import Change, Rows, S, Update
from .locking import locked_keys
from .recording import record_keys, record_relative, record_rows, require_equal
from .steady import is_steady
from .transactions import is_recorded_in_one_statement


class _Record:
    """What the record of one change has come to so far."""

    __slots__ = ("is_complete", "keys", "recorded", "relatives", "rows", "stamps", "updated")

    def __init__(self, stamps: dict[HistoryTable, Stamp], relatives: list[tuple[Relative, Stamp]]) -> None:
        self.stamps = stamps
        #: Histories of models that share rows with the changed ones.
        self.relatives = relatives
        #: Keys of the rows that were changed and are still to be recorded.
        self.keys: Sequence[Any] = ()
        #: The same as a query, where it finds them after the change as it did before.
        self.rows: QuerySet[Any] | None = None
        self.recorded = 0
        #: Models in whose tables the save of an entity found its row.
        self.updated: set[type[Model]] = set()
        #: Whether the statement itself has recorded what it changed.
        self.is_complete = False


class Audit:
    """The concern behind models with a history, and behind those that share rows with one."""

    def applies_to(self, model: type[Model]) -> bool:
        return reaches_history(model)

    def prepare(self, change: Change) -> None:
        if _goes_unrecorded(change):
            return
        tables, relatives = _tables_to_write(change), _relatives_to_write(change)
        if not tables and not relatives:
            return
        for table in (*tables, *(relative.table for relative in relatives)):
            refuse_elsewhere(table, change.alias)
        record = change.memo[Audit] = _Record(
            {table: _stamp(table, change) for table in tables},
            [(relative, _stamp(relative.table, change)) for relative in relatives],
        )
        if change.kind == "-":
            for table, stamp in record.stamps.items():
                record.recorded = _copy_deleted(table, change, stamp)
        elif change.kind == "+" and tables and change.begin is not None:
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
            require_equal(change.model, outcome, record.recorded)
        elif change.entity is not None:
            _copy_saved(change, record)
        elif change.kind == "+":
            _copy_inserted(change, record, outcome)
        else:
            _copy_changed(change, record, outcome)


def _goes_unrecorded(change: Change) -> bool:
    if change.raw or not is_recording():
        return True
    # simple-history's way of saving without a record
    return change.kind != "-" and hasattr(change.entity, "skip_history_when_saving")


def _tables_to_write(change: Change) -> list[HistoryTable]:
    """The histories of ``change`` that simple-history's own receivers don't keep."""
    if change.entity is not None and change.kind != "-" and not takes_write_path(change.model):
        return []  # Django saves it, and the receivers record it
    own = change.model._meta.concrete_model
    tables = [table for table in tables_of(change.model) if table.model is own or touches(table.model, change.fields)]
    if change.kind == "-":  # the rows of inherited tables are deletions of their own
        tables = [table for table in tables if table.model is own]
    if change.entity is not None or change.kind == "-":
        tables = [table for table in tables if not table.is_kept_by_signals(change.model)]
    return tables


def _relatives_to_write(change: Change) -> list[Relative]:
    """The histories of other models whose rows ``change`` may change with its own."""
    if change.kind == "-" or (change.kind == "+" and change.entity is None):
        return []  # deletions are changes of their own, and a new row is nobody else's yet
    touched = (
        relative._replace(shared=tuple(model for model in relative.shared if touches(model, change.fields)))
        for relative in relatives_of(change.model)
    )
    return [relative for relative in touched if relative.shared]


def _count(change: Change, table: HistoryTable, recorded: int) -> int:
    """``recorded``, after its operation has heard of so many rows."""
    if recorded:
        change.operation.count_history(table.model, recorded)
    return recorded


def _stamp(table: HistoryTable, change: Change) -> Stamp:
    return table.stamp(change.operation, change.alias, change.entity)


# Saves of one entity.


def _fold_save(change: Change, record: _Record, statement: Update) -> Update:
    is_plain = compiling.is_plain_save(statement)
    if not is_plain or not is_recorded_in_one_statement(change.model, change.alias):
        if change.begin is not None:
            change.begin()
        sent = statement.sent_by(compiling.send_save) if is_plain else statement
        return sent.on_reach(partial(record.updated.add, statement.rows.model))
    (table, stamp), *_ = record.stamps.items()

    def send(statement: Update) -> Any:
        sql, params = compiling.save_sql(statement, connections[change.alias])
        record.is_complete = change_and_copy_one(table, change.alias, sql, params, stamp)
        _count(change, table, int(record.is_complete))
        return compiling.as_returned(int(record.is_complete))

    # Where there is no row to update Django goes on and inserts one, which is a second statement.
    return statement.sent_by(send) if change.begin is None else statement.sent_by(send).on_miss(change.begin)


def _copy_saved(change: Change, record: _Record) -> None:
    entity = change.entity
    assert entity is not None
    for table, stamp in record.stamps.items():
        kind = "~" if table.model in record.updated else "+"
        recorded = record_keys(table, change, [entity.pk], kind, stamp, entity)
        require_equal(change.model, 1, _count(change, table, recorded))
    # What Django saves by itself it doesn't tell of; a row that was there before is an update of all its tables.
    is_known = takes_write_path(change.model)
    for relative, stamp in record.relatives:
        keys = {
            model: [getattr(entity, model._meta.pk.attname)]
            for model in relative.shared
            if (model in record.updated if is_known else change.kind == "~")
        }
        record_relative(relative, change, stamp, keys)


# Updates of a set.


def _fold_set(change: Change, record: _Record, statement: Update) -> Update:
    if is_recorded_in_one_statement(change.model, change.alias):
        (table, stamp), *_ = record.stamps.items()

        def send(statement: Update) -> int:
            sql, params = compiling.update_sql(statement)
            if not sql:
                return 0
            record.is_complete = True
            return _count(change, table, change_and_copy(table, change.alias, sql, params, stamp))

        return statement.sent_by(send)

    original = statement.sender
    if not record.relatives and is_steady(statement):

        def send_whole(statement: Update) -> int:
            record.rows = statement.narrowed()
            return int(original(statement))

        return statement.sent_by(send_whole)

    if compiling.can_return_keys(change.model, change.alias):

        def send_returning(statement: Update) -> int:
            record.keys = compiling.update_returning_keys(statement)
            return len(record.keys)

        return statement.sent_by(send_returning)

    def send_frozen(statement: Update) -> int:
        record.keys = locked_keys(statement.narrowed())
        # One UPDATE, however long the list: a second would look at rows that the first has changed.
        is_chosen = compiling.key_in(change.model, record.keys)
        return int(original(statement.where(is_chosen))) if record.keys else 0

    return statement.sent_by(send_frozen)


def _copy_changed(change: Change, record: _Record, changed: int) -> None:
    # Rows that the database has set by itself are listed by the change.
    keys = record.keys if isinstance(change.rows, Rows) else change.rows
    for table, stamp in record.stamps.items():
        if record.rows is not None:
            recorded = record_rows(table, record.rows, "~", stamp)
        else:
            recorded = record_keys(table, change, keys, "~", stamp)
        require_equal(change.model, changed, _count(change, table, recorded))
    for relative, stamp in record.relatives if keys else ():
        record_relative(relative, change, stamp, {model: _keys_in(model, change, keys) for model in relative.shared})


def _keys_in(shared: type[Model], change: Change, keys: Sequence[Any]) -> QuerySet[Any] | Sequence[Any]:
    """The keys that rows of ``change.model``, given by theirs, have in an inherited table."""
    if shared is change.model._meta.concrete_model:
        return keys
    changed: QuerySet[Any] = QuerySet(change.model, using=change.alias)
    return changed.filter(compiling.key_in(change.model, keys)).values(shared._meta.pk.attname)


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
        recorded = record_keys(table, change, keys, "+", stamp)
        for entity in by_hand:
            own = table.stamp(change.operation, change.alias, entity)
            recorded += record_keys(table, change, [entity.pk], "+", own, entity)
        require_equal(change.model, len(entities), _count(change, table, recorded))


# Deletions.


def _copy_deleted(table: HistoryTable, change: Change, stamp: Stamp) -> int:
    """Record the rows that are about to be deleted, while they are still there."""
    keys = () if isinstance(change.rows, Rows) else change.rows
    recorded = record_keys(table, change, keys, "-", stamp, change.entity)
    for rows in change.sets:
        recorded += record_rows(table, rows, "-", stamp)
    return _count(change, table, recorded)
