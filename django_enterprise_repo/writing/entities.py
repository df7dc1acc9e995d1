"""Writes of one entity: insert, update, delete, restore. Each goes through the model's own methods."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

from django.db import DatabaseError, connections
from django.db.models import Field, Model, QuerySet

from ..auditing.history import attributed, takes_write_path
from ..auditing.tables import own_table
from ..context import acting_user_id
from ..exceptions import InvalidArgument
from ..operations import Attempt, run
from ..results import DeletionResult
from ..soft_delete.markers import Marker
from ..soft_delete.protection import refuse_protected
from . import path
from .arguments import normalised
from .change import Call, Change, Intent
from .deleting import WritePathCollector
from .locking import locked_keys
from .misses import AlreadyDone, is_missing_row
from .pending import Pending, pending_save
from .specs import write_spec
from .transactions import all_or_nothing, around_save


def insert(entity: Model, alias: str, attempt: Attempt, *, savepoint: bool) -> None:
    """INSERT ``entity``; a row with its key makes it fail and is never overwritten."""
    attempt.remember(entity)
    for field in entity._meta.concrete_fields:
        value = entity.__dict__.get(field.attname)
        if value is not None and not field.generated and not _is_expression(value):
            entity.__dict__[field.attname] = normalised(field, value)
    _save(entity, alias, attempt, savepoint=savepoint, force_insert=True)
    _read_back(entity, alias)


def update(
    entity: Model, changes: Mapping[Field[Any, Any], Any], alias: str, attempt: Attempt, *, savepoint: bool
) -> None:
    """UPDATE the changed columns, or every column when ``changes`` is empty. Never inserts.

    Raises:
        StaleObjectError: the model is versioned and the row is not as it was read.
        Model.DoesNotExist: the row is gone.
    """
    try:
        if _needs_values(type(entity)) and any(map(_is_expression, changes.values())):
            with all_or_nothing(alias, savepoint=savepoint):
                _write(entity, _computed(entity, changes, alias), alias, attempt, savepoint=False)
        else:
            _write(entity, changes, alias, attempt, savepoint=savepoint)
    except DatabaseError as error:
        if is_missing_row(error):
            raise type(entity).DoesNotExist(f"The {entity._meta.label} to update does not exist.") from error  # type: ignore[attr-defined]
        raise
    _read_back(entity, alias)


def _write(
    entity: Model, changes: Mapping[Field[Any, Any], Any], alias: str, attempt: Attempt, *, savepoint: bool
) -> None:
    for field, value in changes.items():
        set_value(entity, field, normalised(field, value))
    if changes:
        names = {field.name for field in (*changes, *touched_fields(type(entity)))}
        _save(entity, alias, attempt, savepoint=savepoint, update_fields=names)
    else:
        _save(entity, alias, attempt, savepoint=savepoint, force_update=True)


def _computed(entity: Model, changes: Mapping[Field[Any, Any], Any], alias: str) -> Mapping[Field[Any, Any], Any]:
    """``changes`` with expressions replaced by what the database computes for this row, which stays locked.

    simple-history copies the attributes of the entity, and an expression is nothing it could store.
    """
    row = type(entity)._base_manager.using(alias).filter(pk=entity.pk)
    if connections[alias].features.has_select_for_update:
        row.select_for_update().values_list("pk").first()
    expressions = {f"repository_value_{n}": field for n, field in enumerate(changes) if _is_expression(changes[field])}
    values = row.values(**{name: changes[field] for name, field in expressions.items()}).first()
    if values is None:
        raise type(entity).DoesNotExist(f"The {entity._meta.label} to update does not exist.")  # type: ignore[attr-defined]
    return {**changes, **{field: values[name] for name, field in expressions.items()}}


def delete(
    entity: Model,
    alias: str,
    marker: Marker | None,
    *,
    hard: bool = False,
    keep_parents: bool = False,
    savepoint: bool = True,
) -> DeletionResult:
    """Delete ``entity``: softly where ``marker`` is given and ``hard`` is not.

    Raises:
        ProtectedError, RestrictedError: living rows refer to it; nothing was written.
        StaleObjectError: the model is versioned and the row is not as it was read.
    """
    if entity.pk is None:
        raise InvalidArgument(f"This {entity._meta.label} has no primary key, so it cannot be deleted.")

    def body(attempt: Attempt) -> DeletionResult:
        attempt.remember(entity)
        if marker is None or hard:
            return _hard_delete(entity, alias, attempt, keep_parents=keep_parents, savepoint=savepoint)
        if marker.is_deleted(entity):
            return _result(entity, 0, attempt)
        user_id = acting_user_id(alias) if marker.deleted_by is not None else None
        values = marker.deletion(attempt.operation, user_id)
        refuse_protected(type(entity)._base_manager.using(alias).filter(pk=entity.pk))
        return _mark(entity, alias, attempt, values, Pending(intent=Intent.DELETE, marker=marker), savepoint)

    return run(write_spec("delete", type(entity), alias), body)


def restore(entity: Model, alias: str, marker: Marker, *, savepoint: bool = True) -> DeletionResult:
    """Bring a soft-deleted ``entity`` back; one that is not deleted is left alone and counted as 0."""

    def body(attempt: Attempt) -> DeletionResult:
        attempt.remember(entity)
        if not marker.is_deleted(entity):
            return _result(entity, 0, attempt)
        pending = Pending(intent=Intent.RESTORE, marker=marker)
        return _mark(entity, alias, attempt, marker.restoration(), pending, savepoint)

    return run(write_spec("restore", type(entity), alias), body)


def _needs_values(model: type[Model]) -> bool:
    """Whether simple-history copies the attributes of an entity, so that they have to be values."""
    table = own_table(model)
    return table is not None and (table.is_kept_by_signals(model) or not takes_write_path(model))


def touched_fields(model: type[Model]) -> list[Field[Any, Any]]:
    """Columns that every update sets to the present moment."""
    return [field for field in model._meta.concrete_fields if getattr(field, "auto_now", False)]


def set_value(entity: Model, field: Field[Any, Any], value: Any) -> None:
    """Assign a value, or for a relation a key or an instance."""
    setattr(entity, field.name if isinstance(value, Model) else field.attname, value)


def _mark(
    entity: Model,
    alias: str,
    attempt: Attempt,
    values: Mapping[Field[Any, Any], Any],
    pending: Pending,
    savepoint: bool,
) -> DeletionResult:
    """Save the marker columns of ``entity``, and only those."""
    for field, value in values.items():
        set_value(entity, field, value)
    names = {field.name for field in (*values, *touched_fields(type(entity)))}
    try:
        _save(entity, alias, attempt, savepoint=savepoint, pending=pending, update_fields=names)
    except AlreadyDone:
        entity.refresh_from_db(using=alias)
        return _result(entity, 0, attempt)
    except DatabaseError as error:
        if is_missing_row(error):
            raise type(entity).DoesNotExist(f"The {entity._meta.label} does not exist any more.") from error  # type: ignore[attr-defined]
        raise
    return _result(entity, 1, attempt)


def _save(
    entity: Model, alias: str, attempt: Attempt, *, savepoint: bool, pending: Pending | None = None, **options: Any
) -> None:
    """Call the entity's own ``save()``, all or nothing also where it does more than save."""
    pending = pending or Pending()
    if not takes_write_path(type(entity)):
        _save_plain(entity, alias, attempt, pending, savepoint=savepoint, **options)
        return
    with ExitStack() as stack:
        if type(entity).save is not Model.save:
            stack.enter_context(all_or_nothing(alias, savepoint=savepoint))
            savepoint = False
        stack.enter_context(pending_save(entity, pending._replace(savepoint=savepoint)))
        entity.save(using=alias, **options)


def _save_plain(
    entity: Model, alias: str, attempt: Attempt, pending: Pending, *, savepoint: bool, **options: Any
) -> None:
    """The save of a model that has a repository and no more: Django's own, taken as one change."""
    model = type(entity)
    change = Change(
        operation=attempt.operation,
        model=model,
        alias=alias,
        kind="+" if entity._state.adding else "~",
        rows=(entity.pk,),
        entity=entity,
        intent=pending.intent,
        marker=pending.marker,
    )
    with around_save(model, alias, savepoint=savepoint), attributed(entity, alias):
        if pending.marker is not None:
            _require_still(entity, alias, pending.marker, pending.intent)
        path.execute(change, Call(partial(entity.save, using=alias, **options)))


def _require_still(entity: Model, alias: str, marker: Marker, intent: Intent) -> None:
    """Lock the row of ``entity``, which must still be alive to be deleted, and deleted to be restored.

    Raises:
        AlreadyDone: somebody was faster.
    """
    wanted = marker.alive() if intent is Intent.DELETE else marker.dead()
    rows: QuerySet[Any] = QuerySet(type(entity), using=alias).filter(wanted, pk=entity.pk)
    if not locked_keys(rows):
        raise AlreadyDone


def _hard_delete(entity: Model, alias: str, attempt: Attempt, *, keep_parents: bool, savepoint: bool) -> DeletionResult:
    with all_or_nothing(alias, savepoint=savepoint):
        collector = WritePathCollector(attempt.operation, using=alias, origin=entity)
        collector.collect([entity], keep_parents=keep_parents)
        total, rows = collector.delete()
    return DeletionResult(total, rows, attempt.operation.id)


def _read_back(entity: Model, alias: str) -> None:
    """Fetch what only the database knows: the results of expressions."""
    unknown = [
        field.attname for field in entity._meta.concrete_fields if _is_expression(entity.__dict__.get(field.attname))
    ]
    if unknown:
        entity.refresh_from_db(using=alias, fields=unknown)


def _is_expression(value: Any) -> bool:
    return hasattr(value, "resolve_expression")


def _result(entity: Model, count: int, attempt: Attempt) -> DeletionResult:
    rows = {entity._meta.label: count} if count else {}
    return DeletionResult(count, rows, attempt.operation.id)
