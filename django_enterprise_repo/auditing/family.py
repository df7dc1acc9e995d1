"""Multi-table inheritance: the histories of other models that a change of a shared row belongs in.

A child's row is a row of its parent too. Whoever changes that one, through the parent or through another of its
children, changes what the child's history copies.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple
from weakref import WeakKeyDictionary

from django.db.models import Model

from .tables import HistoryTable, has_history, own_table


class Relative(NamedTuple):
    """The history of a model that inherits a table from the changed model, or from one of its parents.

    Attributes:
        table: the history.
        shared: the models whose rows belong to both; of a line of them the nearest.
    """

    table: HistoryTable
    shared: tuple[type[Model], ...]


_relatives: WeakKeyDictionary[type[Model], tuple[Relative, ...]] = WeakKeyDictionary()


def relatives_of(model: type[Model]) -> tuple[Relative, ...]:
    """The histories besides those of ``model`` and its parents that a change of its rows may belong in."""
    found = _relatives.get(model)
    if found is None:
        found = _relatives[model] = tuple(_find(model._meta.concrete_model or model))
    return found


def reaches_history(model: type[Model]) -> bool:
    """Whether changes of ``model`` are recorded anywhere, in the histories of its relatives too."""
    return has_history(model) or bool(relatives_of(model))


def touches(model: type[Model], fields: Collection[str] | None) -> bool:
    """Whether a change of these columns, all for ``None``, changes rows of ``model``, which has some of them."""
    return fields is None or any(
        field.name in fields or field.attname in fields for field in model._meta.concrete_fields
    )


def _find(model: type[Model]) -> Iterator[Relative]:
    line = {model, *model._meta.all_parents}
    for other in model._meta.apps.get_models():
        shared = line.intersection(other._meta.all_parents)
        if not shared or other in line or other._meta.proxy:
            continue
        table = own_table(other)
        if table is not None:
            yield Relative(table, tuple(each for each in shared if not _is_farther(each, shared)))


def _is_farther(model: type[Model], others: Collection[type[Model]]) -> bool:
    """Whether one of ``others`` inherits from ``model``."""
    return any(model in other._meta.all_parents for other in others)
