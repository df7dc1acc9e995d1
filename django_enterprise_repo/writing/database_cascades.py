"""What the database itself deletes or sets to null when rows go: Django 6.1's ``DB_CASCADE``, ``DB_SET_NULL`` and kin.

Django's collector leaves those relations alone, so that nobody would be told of the rows behind them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from django.db.models import Model, QuerySet, deletion
from django.db.models.deletion import get_candidate_relations_to_delete

from .locking import locked_keys

_CASCADE = getattr(deletion, "DB_CASCADE", None)
_UPDATES = tuple(filter(None, (getattr(deletion, name, None) for name in ("DB_SET_NULL", "DB_SET_DEFAULT"))))


class Reached(NamedTuple):
    """Rows that a deletion reaches through the database.

    Attributes:
        model: their model.
        keys: their primary keys, locked.
        field: name of the column that is set, ``None`` where the rows are deleted.
    """

    model: type[Model]
    keys: tuple[Any, ...]
    field: str | None


def reached_by(model: type[Model], keys: Sequence[Any], alias: str) -> Iterator[Reached]:
    """What goes with the rows of ``model`` that have these keys, level by level; nothing before Django 6.1."""
    if _CASCADE is None or not keys:
        return
    for relation in _relations(model):
        on_delete = relation.field.remote_field.on_delete
        if on_delete is not _CASCADE and on_delete not in _UPDATES:
            continue
        child: Any = relation.related_model
        rows: QuerySet[Any] = QuerySet(child, using=alias).filter((f"{relation.field.name}__in", list(keys)))
        found = tuple(locked_keys(rows))
        if not found:
            continue
        if on_delete is not _CASCADE:
            yield Reached(child, found, relation.field.name)
            continue
        yield Reached(child, found, None)
        yield from reached_by(child, found, alias)


def reaches_any(model: type[Model]) -> bool:
    """Whether the database deletes or sets anything by itself when rows of ``model`` go."""
    return _CASCADE is not None and any(
        relation.field.remote_field.on_delete in (_CASCADE, *_UPDATES) for relation in _relations(model)
    )


def _relations(model: type[Model]) -> Iterable[Any]:
    return get_candidate_relations_to_delete(model._meta)
