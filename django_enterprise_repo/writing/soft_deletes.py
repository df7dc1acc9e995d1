"""Soft delete as a concern: a deletion reaches living rows only, a restoration deleted ones only."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.db.models import Field, Model

from ..exceptions import StaleObjectError
from ..soft_delete.markers import Marker, can_be_soft_deleted, model_marker
from .change import Change, Intent, S, Update
from .misses import AlreadyDone


class SoftDeletes:
    """The concern behind soft-deletable models.

    A plain save of every column that holds a row to be alive must find it alive: an entity that was read before
    somebody deleted its row does not bring it back. Restoring is a verb of its own, with a permission of its own.
    A flag is exempt, as forms switch it on and off.
    """

    def applies_to(self, model: type[Model]) -> bool:
        return can_be_soft_deleted(model)

    def prepare(self, change: Change) -> None:
        """Nothing to prepare."""

    def fold(self, change: Change, statement: S) -> S:
        if not isinstance(statement, Update) or change.raw:
            return statement
        if change.marker is not None:
            return self._fold_marking(change, change.marker, statement)  # type: ignore[return-value]  # S is Update
        if change.entity is not None and change.fields is None:
            return self._fold_save(change, change.entity, statement)  # type: ignore[return-value]  # S is Update
        return statement

    def applied(self, change: Change, outcome: Any) -> None:
        """Nothing to follow."""

    def _fold_marking(self, change: Change, marker: Marker, statement: Update) -> Update:
        if marker.field not in statement.values:
            return statement  # another table of the same entity
        narrowed = statement.where(marker.alive() if change.intent is Intent.DELETE else marker.dead())
        return narrowed.on_miss(_already_done) if change.entity is not None else narrowed

    def _fold_save(self, change: Change, entity: Model, statement: Update) -> Update:
        marker = model_marker(change.model)
        if (
            marker is None
            or not marker.is_timestamp
            or marker.field not in statement.values
            or marker.is_deleted(entity)
        ):
            return statement
        still_alive = statement.where(**{marker.field.attname: None})
        return still_alive.on_miss(partial(_refuse_to_revive, entity, change.alias, marker.field))


def _already_done() -> None:
    raise AlreadyDone


def _refuse_to_revive(entity: Model, alias: str, marker: Field[Any, Any]) -> None:
    if marker.model._base_manager.using(alias).filter(pk=entity.pk).exists():
        raise StaleObjectError(type(entity), entity.pk, expected=None, actual=None)
