"""Inserts and updates of many entities that the caller holds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

from django.db import NotSupportedError
from django.db.models import Model, QuerySet

from ..auditing.family import reaches_history
from ..auditing.tables import has_history
from ..auditing.trail import mark_recorded
from ..operations import Attempt
from . import path
from .change import Call, Change
from .pending import Pending, pending_save
from .transactions import all_or_nothing, has_parents
from .versions import check_held_versions, version_field


def insert_all(
    entities: Sequence[Any], model: type[Model], alias: str, send: Callable[[], list[Any]], attempt: Attempt
) -> None:
    """INSERT the entities inside the caller's transaction; ``send`` is Django's ``bulk_create``, which answers them.

    Those with inherited tables, which Django cannot insert in bulk, are saved one by one.
    """
    if any(has_parents(kind) for kind in {type(entity) for entity in entities}):
        for entity in entities:
            with pending_save(entity, Pending(savepoint=False)):
                entity.save(using=alias, force_insert=True)
    else:
        _insert(model, alias, send, attempt)


def create(
    entities: Sequence[Any],
    model: type[Model],
    alias: str,
    send: Callable[[], list[Any]],
    attempt: Attempt,
    *,
    overwrites: bool = False,
) -> list[Any]:
    """Django's ``bulk_create`` of ``entities``, given as ``send``, which ``overwrites`` rows in conflict or doesn't."""
    if not has_history(model):
        attempt.on_failure(partial(_forget_keys, [entity for entity in entities if entity.pk is None]))
        return _insert(model, alias, send, attempt, overwrites=overwrites)
    attempt.remember(*entities)
    with all_or_nothing(alias):
        return _insert(model, alias, send, attempt)


def _forget_keys(entities: Sequence[Any]) -> None:
    """Take back the keys that rows had before they were rolled back: they may be somebody else's by now."""
    for entity in entities:
        entity.pk = None
        entity._state.adding = True


def _insert(
    model: type[Model], alias: str, send: Callable[[], list[Any]], attempt: Attempt, *, overwrites: bool = False
) -> list[Any]:
    change = Change(operation=attempt.operation, model=model, alias=alias, kind="+", overwrites=overwrites)
    inserted: list[Any] = path.execute(change, Call(send))
    if has_history(model):
        mark_recorded(inserted)
    return inserted


def refuse_conflict_options(model: type[Model], *, ignore_conflicts: bool, update_conflicts: bool) -> None:
    """Refuse what would change rows behind the back of their history or their version.

    Raises:
        NotSupportedError: as Django does for options that a database lacks.
    """
    if (has_history(model) and ignore_conflicts) or (reaches_history(model) and update_conflicts):
        raise NotSupportedError(
            f"bulk_create() on {model._meta.label} cannot handle conflicts: "
            "the database does not say which rows it wrote, so their history would be missing."
        )
    if version_field(model) is not None and update_conflicts:
        raise NotSupportedError(
            f"bulk_create(update_conflicts=True) on {model._meta.label} would overwrite rows without moving "
            "their version on."
        )


def update_all(entities: Sequence[Any], fields: Collection[str], rows: QuerySet[Any], send: Callable[[], int]) -> int:
    """Django's ``bulk_update`` of ``entities``, given as ``send``, whose UPDATEs take the path of any queryset's.

    Raises:
        StaleObjectError: the model is versioned and a row is not as it was read; nothing was written.
    """
    version = version_field(rows.model)
    if not reaches_history(rows.model):
        return send() if version is None else _update_versioned(entities, fields, rows, send)
    with all_or_nothing(rows.db):
        count = send() if version is None else _update_versioned(entities, fields, rows, send)
    mark_recorded(entities)
    return count


def _update_versioned(
    entities: Sequence[Any], fields: Collection[str], rows: QuerySet[Any], send: Callable[[], int]
) -> int:
    version = version_field(rows.model)
    if version is None or version.name in fields:
        return send()
    held = {entity.pk: entity for entity in entities}
    with all_or_nothing(rows.db):
        reached = check_held_versions(held, rows)
        count = send()
    for pk in reached:  # the UPDATE moved these rows' versions on
        setattr(held[pk], version.attname, held[pk].__dict__[version.attname] + 1)
    return count
