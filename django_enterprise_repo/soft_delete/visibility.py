"""Who sees deleted rows: the condition that hides them, and how it is taken away again."""

from __future__ import annotations

from typing import Any

from django.db import NotSupportedError
from django.db.models import F, QuerySet
from django.db.models.lookups import Exact, IsNull

from .. import scoping
from .markers import Marker


class _Visibility:
    """Marks the conditions of this module, so that they are found again in a where tree."""


class _MarkerIsNull(_Visibility, IsNull):
    pass


class _MarkerEquals(_Visibility, Exact):
    pass


def is_visibility(condition: Any) -> bool:
    """Whether a condition of a where tree is there only to hide or to single out deleted rows."""
    return isinstance(condition, _Visibility)


def hide_deleted(queryset: QuerySet[Any], marker: Marker) -> None:
    """Leave only the rows that are not deleted. In place."""
    _add(queryset, marker, alive=True)


def show_deleted(queryset: QuerySet[Any]) -> None:
    """Let deleted and living rows be seen. In place.

    Raises:
        NotSupportedError: a union or its like, whose parts are settled.
    """
    if queryset.query.combinator:
        raise NotSupportedError(f"Deleted rows cannot be shown in or left out of a {queryset.query.combinator}().")
    scoping.remove(queryset, is_visibility)


def only_deleted(queryset: QuerySet[Any], marker: Marker) -> None:
    """Leave only the deleted rows. In place."""
    show_deleted(queryset)
    _add(queryset, marker, alive=False)


def _add(queryset: QuerySet[Any], marker: Marker, *, alive: bool) -> None:
    # A timestamp is null in a living row, a flag is true: either way the right-hand side is ``alive``.
    lookup = _MarkerIsNull if marker.is_timestamp else _MarkerEquals
    field, query = marker.field, queryset.query
    if field.model._meta.concrete_model is queryset.model._meta.concrete_model:
        # The column is in the model's own table: no join to look for, so this costs next to nothing.
        condition: Any = lookup(field.get_col(query.get_initial_alias()), alive)
        query.where.children.append(scoping.ScopeNode([condition]))
    else:
        scoping.add_condition(queryset, lookup(F(field.name), alive))
