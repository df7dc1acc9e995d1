"""Writes of many rows that a queryset chooses.

Where a model has a history every row goes through its own ``save()``, because that is how simple-history
learns of it. Elsewhere one UPDATE does it.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db import connections
from django.db.models import DateTimeField, Field, Model, QuerySet, TimeField
from django.utils import timezone

from ..auditing.history import attributed, has_history
from ..context import acting_user_id
from ..operations import Attempt
from ..results import DeletionResult
from ..soft_delete.markers import Marker
from ..soft_delete.protection import refuse_protected
from . import path
from .change import Call, Change, Intent, Update
from .entities import set_value, touched_fields
from .pending import Pending, pending_save
from .transactions import all_or_nothing, around_set

Values = Mapping["Field[Any, Any]", Any]
#: A queryset of ours: Django's, with ``send_update`` and ``send_delete`` beneath its own methods.
OurRows = Any

# Rows that are locked, written and forgotten together when every row has to be saved by itself.
_CHUNK = 500


def update(rows: OurRows, values: Values, attempt: Attempt, *, savepoint: bool = True) -> int:
    """UPDATE ``rows`` and answer how many there were."""
    change = _change(rows, values, attempt)
    if has_history(rows.model):
        return _row_by_row(rows, values, change, savepoint)
    with around_set(rows.model, rows.db, savepoint=savepoint):
        return _update(change, rows, values)


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
    return _mark(rows, values, change, savepoint)


def soft_delete_result(rows: OurRows, marker: Marker, attempt: Attempt) -> DeletionResult:
    """:func:`soft_delete` with the answer of Django's ``delete()``."""
    count = soft_delete(rows, marker, attempt)
    return DeletionResult(count, {rows.model._meta.label: count} if count else {}, attempt.operation.id)


def restore(rows: OurRows, marker: Marker, attempt: Attempt, *, savepoint: bool = True) -> int:
    """Bring the deleted ones among ``rows`` back and answer how many there were."""
    rows = rows.filter(marker.dead())
    values = touch(rows.model, marker.restoration(), attempt.operation.moment)
    change = _change(rows, values, attempt, intent=Intent.RESTORE, marker=marker)
    return _mark(rows, values, change, savepoint)


def hard_delete(rows: OurRows, attempt: Attempt) -> DeletionResult:
    """DELETE ``rows`` as Django does, in its own transaction, collector and signals included."""
    change = Change(operation=attempt.operation, model=rows.model, alias=rows.db, kind="-", intent=Intent.DELETE)
    total, by_model = path.execute(change, Call(rows.send_delete))
    return DeletionResult(total, by_model, attempt.operation.id)


def _mark(rows: OurRows, values: Values, change: Change, savepoint: bool) -> int:
    if has_history(rows.model):
        return _row_by_row(rows, values, change, savepoint)
    with around_set(rows.model, rows.db, savepoint=savepoint):
        return _update(change, rows, values)


def _update(change: Change, rows: OurRows, values: Values) -> int:
    def send(rows: OurRows, values: Values) -> Any:
        return rows.send_update(**{field.name: value for field, value in values.items()})

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
        fields=frozenset(field.name for field in values),
        intent=intent,
        marker=marker,
    )


def _row_by_row(rows: QuerySet[Any], values: Values, change: Change, savepoint: bool) -> int:
    count = 0
    with all_or_nothing(rows.db, savepoint=savepoint):
        for chunk in _locked_chunks(rows):
            for entity, resolved in _resolved(chunk, values):
                for field, value in resolved.items():
                    set_value(entity, field, value)
                pending = Pending(intent=change.intent, marker=change.marker)
                with attributed(entity, change.alias), pending_save(entity, pending):
                    entity.save(using=change.alias, update_fields={field.name for field in values})
                count += 1
    return count


def _locked_chunks(rows: QuerySet[Any]) -> Iterator[QuerySet[Any]]:
    """The rows in pieces of bounded size, each locked and then asked again whether it still qualifies."""
    keys = list(rows.order_by("pk").values_list("pk", flat=True))
    base = rows.model._base_manager.using(rows.db)
    locks = connections[rows.db].features.has_select_for_update
    for start in range(0, len(keys), _CHUNK):
        chunk = keys[start : start + _CHUNK]
        if locks:
            list(base.filter(pk__in=chunk).select_for_update().values_list("pk"))
            chunk = list(rows.order_by().filter(pk__in=chunk).values_list("pk", flat=True))
        yield base.filter(pk__in=chunk).order_by("pk")


def _resolved(chunk: QuerySet[Any], values: Values) -> Iterator[tuple[Any, Values]]:
    """Each row with the values it is to take; expressions are computed by the database for each row."""
    expressions = {f"repository_value_{n}": field for n, field in enumerate(values) if _is_expression(values[field])}
    if expressions:
        chunk = chunk.annotate(**{alias: values[field] for alias, field in expressions.items()})
    for entity in list(chunk):
        computed = {field: entity.__dict__.pop(alias) for alias, field in expressions.items()}
        yield entity, {**values, **computed}


def _is_expression(value: Any) -> bool:
    return hasattr(value, "resolve_expression")


def _moment_for(field: Field[Any, Any], moment: datetime.datetime) -> Any:
    if isinstance(field, DateTimeField):
        return moment
    local = timezone.localtime(moment) if timezone.is_aware(moment) else moment
    return local.time() if isinstance(field, TimeField) else local.date()
