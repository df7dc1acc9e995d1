"""Inserts and updates of many entities that the caller holds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

from django.db import NotSupportedError
from django.db.models import Model

from ..auditing.tables import has_history
from ..operations import Attempt
from . import path
from .change import Call, Change
from .pending import Pending, pending_save
from .transactions import all_or_nothing, has_parents
from .versions import version_field


def insert_all(
    entities: Sequence[Any],
    model: type[Model],
    alias: str,
    send: Callable[[], list[Any]],
    attempt: Attempt,
    *,
    savepoint: bool = True,
) -> None:
    """INSERT all entities or none; ``send`` is Django's ``bulk_create`` of them, which answers them.

    Models with inherited tables, which Django cannot insert in bulk, are saved one by one.
    """
    attempt.on_failure(partial(_forget_inserts, [(entity, entity.pk, entity._state.db) for entity in entities]))
    with all_or_nothing(alias, savepoint=savepoint):
        if has_parents(model):
            for entity in entities:
                with pending_save(entity, Pending(savepoint=False)):
                    entity.save(using=alias, force_insert=True)
        else:
            _insert(model, alias, send, attempt)


def create(model: type[Model], alias: str, send: Callable[[], list[Any]], attempt: Attempt) -> list[Any]:
    """Django's ``bulk_create``, given as ``send``."""
    if not has_history(model):
        return _insert(model, alias, send, attempt)
    with all_or_nothing(alias):
        return _insert(model, alias, send, attempt)


def _insert(model: type[Model], alias: str, send: Callable[[], list[Any]], attempt: Attempt) -> list[Any]:
    change = Change(operation=attempt.operation, model=model, alias=alias, kind="+")
    inserted: list[Any] = path.execute(change, Call(send))
    return inserted


def refuse_conflict_options(model: type[Model], *, ignore_conflicts: bool, update_conflicts: bool) -> None:
    """Refuse what would change rows behind the back of their history or their version.

    Raises:
        NotSupportedError: as Django does for options that a database lacks.
    """
    if has_history(model) and (ignore_conflicts or update_conflicts):
        raise NotSupportedError(
            f"bulk_create() on {model._meta.label} cannot handle conflicts: "
            "the database does not say which rows it wrote, so their history would be missing."
        )
    if version_field(model) is not None and update_conflicts:
        raise NotSupportedError(
            f"bulk_create(update_conflicts=True) on {model._meta.label} would overwrite rows without moving "
            "their version on."
        )


def update_all(
    entities: Sequence[Any], fields: Collection[str], model: type[Model], alias: str, send: Callable[[], int]
) -> int:
    """Django's ``bulk_update``, given as ``send``, whose UPDATEs take the write path as those of any queryset."""
    version = version_field(model)
    if has_history(model):
        with all_or_nothing(alias):
            count = send()
    else:
        count = send()
    if version is not None and version.name not in fields:
        # The UPDATE moved every row's version on; the entities in hand move with their rows.
        for entity in entities:
            if version.attname in entity.__dict__:
                setattr(entity, version.attname, entity.__dict__[version.attname] + 1)
    return count


def _forget_inserts(before: Sequence[tuple[Any, Any, str | None]]) -> None:
    """Nothing was inserted, so the entities must not look as if they were."""
    for entity, pk, alias in before:
        entity.pk = pk
        entity._state.adding, entity._state.db = True, alias
