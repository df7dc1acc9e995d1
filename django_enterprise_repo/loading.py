"""Eager loading that picks a join or a second query by itself."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, TypeVar, cast

from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model, Prefetch, QuerySet
from django.db.models.constants import LOOKUP_SEP

from .exceptions import InvalidArgument, InvalidArgumentType

Q = TypeVar("Q", bound="QuerySet[Any]")


def load_related(queryset: Q, paths: Iterable[str | Prefetch[Any]]) -> Q:
    """Add the relations to what ``queryset`` loads: joined where every step leads to one row, prefetched else.

    Raises:
        InvalidArgument: a path names something that is no relation.
        InvalidArgumentType: a path is neither text nor a ``Prefetch``, or ``paths`` is a bare string.
    """
    if isinstance(paths, str):
        raise InvalidArgumentType(f"load= takes a sequence of relation names; write ({paths!r},).")
    joined: list[str] = []
    fetched: list[str | Prefetch[Any]] = []
    for path in paths:
        if isinstance(path, Prefetch):
            fetched.append(path)
        elif isinstance(path, str):
            (joined if _leads_to_one(cast("Any", queryset.model), path) else fetched).append(path)
        else:
            raise InvalidArgumentType(f"load= takes relation names and Prefetch objects, not {type(path).__name__}.")
    if joined:
        queryset = queryset.select_related(*joined)
    if fetched:
        queryset = queryset.prefetch_related(*fetched)
    return queryset


@lru_cache(maxsize=1024)
def _leads_to_one(model: type[Model], path: str) -> bool:
    to_one = True
    for name in path.split(LOOKUP_SEP):
        relation = _relation(model, name)
        if relation is None:
            raise InvalidArgument(f"{model._meta.label} has no relation {name!r} to load.")
        if relation.related_model is None:  # a generic foreign key: its model differs from row to row
            return False
        to_one = to_one and bool(relation.many_to_one or relation.one_to_one)
        model = relation.related_model
    return to_one


def _relation(model: type[Model], name: str) -> Any:
    for field in model._meta.get_fields():
        accessor = field.get_accessor_name() if field.auto_created and not field.concrete else field.name  # type: ignore[union-attr]
        if accessor == name and field.is_relation:
            return field
    for field in model._meta.private_fields:
        if field.name == name and field.is_relation:
            return field
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        return None
    return field if field.is_relation else None
