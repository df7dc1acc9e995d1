"""History tables: which a model has, which columns each keeps, and what it says about a change."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cached_property
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

from django.conf import settings
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Field, Model
from simple_history.models import HistoricalRecords, _default_get_user
from simple_history.signals import post_create_historical_record, pre_create_historical_record

from ..context import acting_user, current_context
from ..operations import Operation
from .stamps import BY_HAND, Stamp, fitting
from .trail import AuditTrail

#: SQL of a history id for engines that can make what Python would make else.
_UUID_FUNCTIONS = {"postgresql": "gen_random_uuid()", "mysql": "UUID()"}

_STAMPED = frozenset(
    {
        "history_date",
        "history_type",
        "history_change_reason",
        "history_user",
        "history_user_id",
        "history_operation_id",
        "history_correlation_id",
    }
)

#: A column, of a model or of its history.
Column: TypeAlias = "Field[Any, Any]"


class HistoryTable:
    """One history table and the model whose changes it keeps.

    Attributes:
        model: the audited model.
        history: the model of its history rows.
        records: the ``HistoricalRecords`` or ``AuditTrail`` that was declared.
        tracked: pairs of a history column and the attribute of ``model`` that it copies.
    """

    def __init__(self, model: type[Model], history: Any, records: HistoricalRecords) -> None:
        self.model = model
        self.history = history
        self.records = records
        get = history._meta.get_field
        tracked: list[tuple[Column, str]] = [
            (get(field.name), field.attname) for field in records.fields_included(model) if field.column is not None
        ]
        if relation := _field(history, "history_relation"):
            tracked.append((relation, model._meta.pk.attname))
        # A generated column is computed in the history as it is in the model.
        self.tracked = tuple(pair for pair in tracked if not pair[0].generated)
        self._reason: Column = get("history_change_reason")
        self._user: Column = _field(history, "history_user") or get("history_user_id")
        self._date: Column = get("history_date")
        self._type: Column = get("history_type")
        self._operation = _field(history, "history_operation_id")
        self._correlation = _field(history, "history_correlation_id")
        #: SQL by vendor, put together once by the module that sends it.
        self.templates: dict[str, Any] = {}

    @property
    def is_trail(self) -> bool:
        """Whether the write path records every change, saves and deletions of single rows included."""
        return isinstance(self.records, AuditTrail)

    def is_kept_by_signals(self, model: type[Model]) -> bool:
        """Whether simple-history's own receivers record a save or a deletion of an instance of ``model``."""
        return not self.is_trail and model is self.model

    def needs_objects(self, vendor: str) -> bool:
        """Whether rows have to be made one by one in Python, because no statement could make them."""
        return bool(
            self._cannot_be_copied
            or (self._id_is_made_in_python and not self.id_function(vendor))
            or (pre_create_historical_record.receivers and pre_create_historical_record.has_listeners(self.history))
            or (post_create_historical_record.receivers and post_create_historical_record.has_listeners(self.history))
        )

    @cached_property
    def _cannot_be_copied(self) -> bool:
        return bool(
            self.history._history_m2m_fields
            or self._asks_each_object
            or any(hasattr(self.model, name) for name in BY_HAND)  # properties that answer for each row
            or any(type(column).select_format is not Field.select_format for column, _ in self.tracked)
            or any(_is_made_in_python(column) for column in self._further)
            or (self._id_is_made_in_python and self.history._meta.pk.get_internal_type() != "UUIDField")
        )

    @property
    def _asks_each_object(self) -> bool:
        """Whether somebody answers for each row who changed it, or why."""
        kind = type(self.records)
        own = (HistoricalRecords, AuditTrail)
        return (
            self.records.get_user is not _default_get_user
            or all(kind.get_history_user is not base.get_history_user for base in own)
            or all(kind.get_change_reason_for_object is not base.get_change_reason_for_object for base in own)
        )

    @cached_property
    def _id_is_made_in_python(self) -> bool:
        return bool(self.history._meta.pk.has_default())

    @cached_property
    def _further(self) -> tuple[Column, ...]:
        """Columns that neither the row nor the stamp fills."""
        filled = {column.name for column, _ in self.tracked} | _STAMPED
        return tuple(
            column
            for column in self.history._meta.concrete_fields
            if column.name not in filled and not column.generated and not column.primary_key
        )

    def stamp(self, operation: Operation, alias: str, entity: Model | None = None) -> Stamp:
        """What a row of this table says about a change by ``operation``.

        What somebody told ``entity`` by simple-history's attributes wins over the context, and the context over
        simple-history's own request.

        Raises:
            InvalidArgument: the context names a user that does not exist.
        """
        context = current_context()
        return Stamp(
            moment=getattr(entity, "_history_date", None) or operation.moment,
            user=self._user_value(alias, entity),
            reason=_first(getattr(entity, "_change_reason", None), context.reason),
            operation_id=operation.id,
            correlation_id=context.correlation_id,
        )

    @cached_property
    def stamped_columns(self) -> tuple[Column, ...]:
        """The columns that tell about the change."""
        columns = (self._date, self._type, self._reason, self._user, self._operation, self._correlation)
        return (*filter(None, columns), *(column for column, _ in self._constants))

    def stamped(self, kind: str, stamp: Stamp) -> list[tuple[Column, Any]]:
        """The columns that tell about the change, with their values."""
        values: list[tuple[Column, Any]] = [
            (self._date, stamp.moment),
            (self._type, kind),
            (self._reason, self.fitting_reason(stamp.reason)),
            (self._user, stamp.user),
        ]
        if self._operation is not None:
            values.append((self._operation, stamp.operation_id))
        if self._correlation is not None:
            values.append((self._correlation, stamp.correlation_id))
        return [*values, *self._constants]

    @cached_property
    def _constants(self) -> tuple[tuple[Column, Any], ...]:
        """Further columns that are the same in every row."""
        return tuple((column, column.get_default()) for column in self._further if not column.has_db_default())

    def fitting_reason(self, reason: str | None) -> str | None:
        """``reason`` as long as its column can hold: simple-history's own has 100 characters, a trail's no limit."""
        return fitting(reason, self._reason.max_length)

    def id_function(self, vendor: str) -> str | None:
        """SQL that makes a history id, ``None`` where the column makes its own."""
        return _UUID_FUNCTIONS.get(vendor) if self._id_is_made_in_python else None

    def _user_value(self, alias: str, entity: Model | None) -> Any:
        user = None if hasattr(entity, "_history_user") else acting_user(alias)
        if user is None:
            user = self.records.get_history_user(self.model() if entity is None else entity)
        return self._through_setter(user)

    def _through_setter(self, user: Any) -> Any:
        if user is None:
            return None
        if self.records.user_id_field is None:
            return user.pk
        row = self.history()
        row.history_user = user
        return row.history_user_id


_tables: WeakKeyDictionary[type[Model], tuple[HistoryTable, ...]] = WeakKeyDictionary()


def tables_of(model: type[Model]) -> tuple[HistoryTable, ...]:
    """The history tables that a change of a ``model`` row concerns: its own and those of its inherited tables."""
    found = _tables.get(model)
    if found is None:
        concrete = model._meta.concrete_model or model
        audited = [kind for kind in (concrete, *concrete._meta.all_parents) if _is_declared(kind)]
        found = _tables[model] = tuple(_table(kind) for kind in audited)
    return found


def has_history(model: type[Model]) -> bool:
    """Whether changes of ``model`` are recorded, in its own history or in that of an inherited table."""
    return bool(tables_of(model))


def is_recording() -> bool:
    """Whether simple-history is switched on, as by default it is."""
    return bool(getattr(settings, "SIMPLE_HISTORY_ENABLED", True))


def own_table(model: type[Model]) -> HistoryTable | None:
    """The history of ``model`` itself, if it declares one."""
    concrete = model._meta.concrete_model or model
    return next((table for table in tables_of(model) if table.model is concrete), None)


def _is_declared(model: type[Model]) -> bool:
    return hasattr(model._meta, "simple_history_manager_attribute")


def _table(model: Any) -> HistoryTable:
    history = getattr(model, model._meta.simple_history_manager_attribute).model
    # simple-history keeps its HistoricalRecords nowhere but in what it made of them.
    nonlocals: Mapping[str, Any] = inspect.getclosurevars(history.get_default_history_user).nonlocals
    return HistoryTable(model, history, nonlocals["self"])


def _field(model: Any, name: str) -> Column | None:
    try:
        field: Column = model._meta.get_field(name)
    except FieldDoesNotExist:
        return None
    return field


def _is_made_in_python(column: Any) -> bool:
    if column.has_db_default():
        return False
    if column.has_default():
        return callable(column.default)
    return not column.null and column.get_default() is None


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)
