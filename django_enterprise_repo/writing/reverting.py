"""Making a row what a version in its history says it was."""

from __future__ import annotations

from typing import Any

from django.db.models import Field, Model

from ..auditing.reading import require_alive, versions_of
from ..auditing.tables import HistoryTable
from ..exceptions import InvalidArgument
from ..operations import Attempt
from ..soft_delete.markers import Marker
from .entities import insert, set_value, touched_fields, update
from .versions import version_field


def revert(
    table: HistoryTable,
    past: Any,
    entity: Model | None,
    marker: Marker | None,
    alias: str,
    attempt: Attempt,
    *,
    validate: bool,
    savepoint: bool,
) -> Model:
    """Give ``entity`` the values of the version ``past``, or insert the row again when there is none.

    Raises:
        InvalidArgument: ``past`` is the version of a deleted row.
    """
    label = table.model._meta.label
    require_alive(past, label)
    if marker is not None and marker.is_deleted(past):
        raise InvalidArgument(f"In that version the {label} is soft-deleted; delete() does that.")
    if entity is None:
        return _insert_again(table, past, alias, attempt, validate=validate, savepoint=savepoint)
    changes = {field: getattr(past, field.attname) for field in _restorable(table, marker)}
    if marker is not None and marker.is_deleted(entity):
        changes |= marker.restoration()
    if validate:
        for field, value in changes.items():
            set_value(entity, field, value)
        entity.full_clean()
    update(entity, changes, alias, attempt, savepoint=savepoint)
    return entity


def _restorable(table: HistoryTable, marker: Marker | None) -> list[Field[Any, Any]]:
    """The columns that the history keeps and that don't move by themselves."""
    version = version_field(table.model)
    marking = () if marker is None else (marker.field, marker.deleted_by, marker.deletion_id)
    by_themselves = {field for field in (version, *marking, *touched_fields(table.model)) if field is not None}
    get: Any = table.model._meta.get_field
    kept = [get(attname) for column, attname in table.tracked if column.name != "history_relation"]
    keys = set(table.model._meta.pk_fields)
    return [field for field in kept if field not in by_themselves and field not in keys and not field.primary_key]


def _insert_again(
    table: HistoryTable, past: Any, alias: str, attempt: Attempt, *, validate: bool, savepoint: bool
) -> Model:
    entity: Model = table.model(**{attname: getattr(past, column.attname) for column, attname in table.tracked})
    version = version_field(table.model)
    if version is not None:
        # Whoever still holds a version of the deleted row must not take the new one for it.
        latest: Any = versions_of(table, entity.pk, alias).values_list(version.attname, flat=True).first()
        setattr(entity, version.attname, latest + 1)
    if validate:
        entity.full_clean()
    insert(entity, alias, attempt, savepoint=savepoint)
    return entity
