"""New entities on the other side of a relation: what makes them belong to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import Model

from .rows import is_related


def adopt(manager: Any, entities: Sequence[Model]) -> None:
    """Point ``entities``, before they are inserted, to the instance whose related ``manager`` this is."""
    if not is_related(manager):
        return
    if hasattr(manager, "content_type_field_name"):  # a generic relation
        for entity in entities:
            setattr(entity, manager.content_type_field_name, manager.content_type)
            setattr(entity, manager.object_id_field_name, manager.pk_val)
    elif not hasattr(manager, "through"):
        for entity in entities:
            setattr(entity, manager.field.name, manager.instance)


def link(manager: Any, entities: Sequence[Model]) -> None:
    """Add ``entities``, once they are inserted, to the many-to-many relation whose ``manager`` this is."""
    if is_related(manager) and hasattr(manager, "through"):
        manager.add(*entities)
