"""Writes of many rows that a queryset chooses: one UPDATE for all of them, whatever the concerns add to it."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db import NotSupportedError
from django.db.models import DateTimeField, Field, Model, QuerySet, TimeField
from django.utils import timezone

from ..auditing.family import reaches_history
from ..context import acting_user_id
from ..operations import Attempt
from ..results import DeletionResult
from ..soft_delete.markers import Marker
from ..soft_delete.protection import refuse_protected
from . import path
from .change import Change, Intent, Update
from .deleting import WritePathCollector
from .entities import touched_fields
from .transactions import around_set
from .versions import version_field

Values = Mapping["Field[Any, Any]", Any]
#: A queryset of ours: Django's, with ``send_update`` beneath its own ``update()``.
OurRows = Any


def update(rows: OurRows, values: Values, attempt: Attempt, *, savepoint: bool = True) -> int:
    """UPDATE ``rows`` and answer how many there were.

    Raises:
        NotSupportedError: a key column of a model with a history: one row would end there and another begin.
    """
    if reaches_history(rows.model) and not set(rows.model._meta.pk_fields).isdisjoint(values):
        raise NotSupportedError(f"The key of an audited {rows.model._meta.label} cannot be updated.")
    return _update(_change(rows, values, attempt), rows, values, savepoint)


def columns(model: type[Model], named: Mapping[str, Any]) -> Values | None:
    """The arguments of Django's ``update()`` by column, ``None`` where one is not a column of ``model``."""
    values: dict[Field[Any, Any], Any] = {}
    for name, value in named.items():
        try:
            field = model._meta.get_field(name)
        except FieldDoesNotExist:
            return None
        if not isinstance(field, Field) or not field.concrete:
            return None
        values[field] = value
    return values


def touch(model: type[Model], values: Values, moment: datetime.datetime) -> Values:
    """``values`` with the columns that every update sets to the present moment."""
    return {**{field: _moment_for(field, moment) for field in touched_fields(model)}, **values}


def soft_delete(rows: OurRows, marker: Marker, attempt: Attempt, *, savepoint: bool = True) -> int:
    """Mark the living ones among ``rows`` as deleted and answer how many there were.

    Raises:
        ProtectedError, RestrictedError: living rows refer to one of them; nothing was written.
    """
    rows = rows.filter(marker.alive())
    user_id = acting_user_id(rows.db) if marker.deleted_by is not None else None
    values = touch(rows.model, marker.deletion(attempt.operation, user_id), attempt.operation.moment)
    change = _change(rows, values, attempt, intent=Intent.DELETE, marker=marker)
    refuse_protected(rows)
    return _update(change, rows, values, savepoint)


def soft_delete_result(rows: OurRows, marker: Marker, attempt: Attempt) -> DeletionResult:
    """:func:`soft_delete` with the answer of Django's ``delete()``."""
    count = soft_delete(rows, marker, attempt)
    return DeletionResult(count, {rows.model._meta.label: count} if count else {}, attempt.operation.id)


def restore(rows: OurRows, marker: Marker, attempt: Attempt, *, savepoint: bool = True) -> int:
    """Bring the deleted ones among ``rows`` back and answer how many there were."""
    rows = rows.filter(marker.dead())
    values = touch(rows.model, marker.restoration(), attempt.operation.moment)
    change = _change(rows, values, attempt, intent=Intent.RESTORE, marker=marker)
    return _update(change, rows, values, savepoint)


def hard_delete(rows: OurRows, attempt: Attempt) -> DeletionResult:
    """DELETE ``rows`` as Django does, in its own transaction, cascade and signals included."""
    chosen = rows.all()
    chosen.query.select_for_update = False
    chosen.query.select_related = False
    chosen.query.clear_ordering(force=True)
    collector = WritePathCollector(attempt.operation, using=rows.db, origin=rows)
    collector.collect(chosen)
    total, by_model = collector.delete()
    return DeletionResult(total, by_model, attempt.operation.id)


def _update(change: Change, rows: OurRows, values: Values, savepoint: bool) -> int:
    def send(statement: Update) -> Any:
        rows: OurRows = statement.narrowed()
        return rows.send_update(**{field.name: value for field, value in statement.values.items()})

    with around_set(rows.model, rows.db, savepoint=savepoint):
        count: int = path.execute(change, Update(rows, values, send))
    return count


def _change(
    rows: QuerySet[Any],
    values: Values,
    attempt: Attempt,
    *,
    intent: Intent = Intent.SAVE,
    marker: Marker | None = None,
) -> Change:
    return Change(
        operation=attempt.operation,
        model=rows.model,
        alias=rows.db,
        kind="~",
        fields=frozenset(field.name for field in (*values, *filter(None, [version_field(rows.model)]))),
        intent=intent,
        marker=marker,
    )


def _moment_for(field: Field[Any, Any], moment: datetime.datetime) -> Any:
    if isinstance(field, DateTimeField):
        return moment
    local = timezone.localtime(moment) if timezone.is_aware(moment) else moment
    return local.time() if isinstance(field, TimeField) else local.date()
