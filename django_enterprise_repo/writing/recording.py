"""History rows of rows that have changed, or are about to go: by their keys, and where others share them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.db import connections
from django.db.models import Model, Q, QuerySet

from ..auditing.family import Relative
from ..auditing.objects import copy_objects
from ..auditing.stamps import Stamp
from ..auditing.statements import copy_keys, copy_rows
from ..auditing.tables import HistoryTable
from ..context import acting_user
from ..exceptions import HistoryMismatch
from . import compiling
from .change import Change
from .locking import locked
from .transactions import has_parents

# Keys that one statement may list; from a thousand on MariaDB makes a temporary table of them.
_CHUNK = 900


def record_keys(
    table: HistoryTable,
    change: Change,
    keys: Sequence[Any],
    kind: str,
    stamp: Stamp,
    entity: Model | None = None,
) -> int:
    """Record the rows of ``change.model`` that have these keys, and answer how many there were."""
    return sum(_record_chunk(table, change, chunk, kind, stamp, entity) for chunk in _chunks(keys))


def record_rows(table: HistoryTable, rows: QuerySet[Any], kind: str, stamp: Stamp, entity: Model | None = None) -> int:
    """Record ``rows`` as they are now, and answer how many there were."""
    if table.needs_objects(connections[rows.db].vendor):
        return copy_objects(table, rows, kind, stamp, acting_user(rows.db), entity)
    return copy_rows(table, rows, kind, stamp)


def record_relative(
    relative: Relative, change: Change, stamp: Stamp, shared: Mapping[type[Model], QuerySet[Any] | Sequence[Any]]
) -> None:
    """Record the rows of a relative that are stored in changed rows of shared models, given by keys or a query of them.

    They are locked first: an own column that somebody else is about to change is seen by one of the two records.

    Raises:
        HistoryMismatch: a row was left out.
    """
    if not shared:
        return
    table = relative.table
    rows: QuerySet[Any] = QuerySet(table.model, using=change.alias)
    is_changed = Q.create([_is_among(model, keys) for model, keys in shared.items()], connector=Q.OR)
    found = list(locked(rows.filter(is_changed).order_by("pk")).order_by("pk").values_list("pk", flat=True))
    if found:
        chosen = rows.filter(compiling.key_in(table.model, found))
        recorded = record_rows(table, chosen, "~", stamp, change.entity)
        require_equal(table.model, len(found), recorded)
        change.operation.count_history(table.model, recorded)


def require_equal(model: type[Model], changed: int, recorded: int) -> None:
    """Compare the counts of a change and its record.

    Raises:
        HistoryMismatch: they differ.
    """
    if changed != recorded:
        raise HistoryMismatch(model)


def _is_among(model: type[Model], keys: QuerySet[Any] | Sequence[Any]) -> Any:
    """The condition that a row of a child of ``model`` is stored in one of its rows that have ``keys``."""
    key = model._meta.pk.attname
    return Q((f"{key}__in", keys)) if isinstance(keys, QuerySet) else compiling.key_in(model, keys, key)


def _record_chunk(
    table: HistoryTable, change: Change, keys: Sequence[Any], kind: str, stamp: Stamp, entity: Model | None
) -> int:
    if has_parents(change.model) or table.needs_objects(connections[change.alias].vendor):
        rows: QuerySet[Any] = QuerySet(change.model, using=change.alias)
        return record_rows(table, rows.filter(pk__in=keys), kind, stamp, entity)
    return copy_keys(table, change.alias, keys, kind, stamp)


def _chunks(keys: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(keys), _CHUNK):
        yield keys[start : start + _CHUNK]
