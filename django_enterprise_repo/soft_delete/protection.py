"""What refuses a soft delete: living rows that point here with PROTECT or RESTRICT."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import models
from django.db.models import ForeignObjectRel, Model, ProtectedError, QuerySet, RestrictedError

from .markers import model_marker

# Enough to tell a person what is in the way, without loading a table.
_SAMPLE = 20


def refuse_protected(rows: QuerySet[Any]) -> None:
    """Raise when a living row protects one of ``rows``. One query per protecting relation, none without.

    Rows that are themselves soft-deleted don't protect. As nothing cascades yet, RESTRICT refuses always.

    Raises:
        ProtectedError, RestrictedError: as Django's own deletion does, with a sample of the rows in the way.
    """
    for relation in _protecting(rows.model):
        blocking = list(_living_children(relation, rows)[:_SAMPLE])
        if blocking:
            message = (
                f"Cannot delete rows of {rows.model._meta.label}: "
                f"{relation.related_model._meta.label}.{relation.field.name} refers to them."
            )
            if relation.on_delete is models.RESTRICT:
                raise RestrictedError(message, set(blocking))
            raise ProtectedError(message, set(blocking))


def _protecting(model: type[Model]) -> Iterator[ForeignObjectRel]:
    for relation in model._meta.get_fields(include_hidden=True):
        if isinstance(relation, ForeignObjectRel) and getattr(relation, "on_delete", None) in (
            models.PROTECT,
            models.RESTRICT,
        ):
            yield relation


def _living_children(relation: ForeignObjectRel, rows: QuerySet[Any]) -> QuerySet[Any]:
    child = relation.related_model
    assert isinstance(child, type)
    targets = rows.order_by().values(*(field.attname for _, field in relation.field.related_fields))
    children = child._base_manager.using(rows.db).filter((f"{relation.field.name}__in", targets))
    marker = model_marker(child)
    return children.filter(marker.alive()) if marker is not None else children
