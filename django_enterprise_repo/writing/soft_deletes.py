"""Soft delete as a concern: a deletion reaches living rows only, a restoration deleted ones only."""

from __future__ import annotations

from typing import Any

from django.db.models import Model

from ..soft_delete.markers import can_be_soft_deleted
from .change import Change, Intent, S, Update
from .misses import AlreadyDone


class SoftDeletes:
    """The concern behind soft-deletable models. A plain save leaves the marker alone and passes."""

    def applies_to(self, model: type[Model]) -> bool:
        return can_be_soft_deleted(model)

    def prepare(self, change: Change) -> None:
        """Nothing to prepare."""

    def fold(self, change: Change, statement: S) -> S:
        marker = change.marker
        if marker is None or not isinstance(statement, Update) or marker.field not in statement.values:
            return statement
        narrowed = statement.where(marker.alive() if change.intent is Intent.DELETE else marker.dead())
        return narrowed.on_miss(_already_done) if change.entity is not None else narrowed  # type: ignore[return-value]

    def applied(self, change: Change, outcome: Any) -> None:
        """Nothing to follow."""


def _already_done() -> None:
    raise AlreadyDone
