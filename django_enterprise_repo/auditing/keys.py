"""Primary keys by their columns, composite ones included."""

from __future__ import annotations

from typing import Any

from django.db.models import CompositePrimaryKey, Model


def key_fields(model: type[Model]) -> tuple[Any, ...]:
    """The columns that make the primary key."""
    pk = model._meta.pk
    return tuple(pk.fields) if isinstance(pk, CompositePrimaryKey) else (pk,)


def key_conditions(model: type[Model], pk: Any) -> dict[str, Any]:
    """The key ``pk`` as equalities of its columns, which bear the same names in a history."""
    fields = key_fields(model)
    return {field.attname: value for field, value in zip(fields, pk if len(fields) > 1 else (pk,), strict=True)}
