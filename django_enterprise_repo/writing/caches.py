"""The cache as a concern: rows that are about to change are locked in it, before anybody can see the change."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import UUID

from django.db.models import Model, QuerySet
from django.db.models.lookups import Exact, In
from django.db.models.sql.where import AND, WhereNode

from ..caching.cached import cached_by
from ..caching.fences import announced, fence_model, fence_rows
from ..db import hooks
from .change import Call, Change, Rows, S, Update


class Caches:
    """The concern behind cached models, and behind those that share a table with one."""

    def applies_to(self, model: type[Model]) -> bool:
        return bool(cached_by(model))

    def prepare(self, change: Change) -> None:
        if isinstance(change.rows, tuple):
            fence_rows(change.alias, change.model, change.rows)
        for rows in change.sets:
            self._fence_queryset(change.alias, rows)

    def fold(self, change: Change, statement: S) -> S:
        if change.rows is Rows.UNKNOWN:
            if isinstance(statement, Update):
                self._fence_queryset(change.alias, statement.narrowed())
                if _is_absence_kept(change.model) and any(column.primary_key for column in statement.values):
                    fence_model(change.alias, change.model)  # rows get keys under which there was nothing
            elif change.kind != "+" or change.overwrites or _is_absence_kept(change.model):
                fence_model(change.alias, change.model)
        # Statements inside are told from those that somebody sends past the write path.
        if isinstance(statement, Update):
            return statement.sent_by(partial(_send, change, statement.sender))  # type: ignore[return-value]
        return Call(partial(_send, change, statement.send))  # type: ignore[return-value]

    def applied(self, change: Change, outcome: Any) -> None:
        """Nothing: the end of the transaction is heard of by the fences."""

    def _fence_queryset(self, alias: str, rows: QuerySet[Any]) -> None:
        keys = _keys_of(rows)
        if keys is None:
            fence_model(alias, rows.model)
        else:
            fence_rows(alias, rows.model, keys)


def send_fenced(model: type[Model], alias: str, key: Any, statement: Update) -> Any:
    """Send the update of one row that is no change of the write path, as what ``loaddata`` writes."""
    if not cached_by(model):
        return statement.send()
    fence_rows(alias, model, (key,))
    with announced(alias, model):
        answer = statement.send()
    hooks.watch(alias)
    return answer


def _send(change: Change, sender: Any, *statement: Any) -> Any:
    with announced(change.alias, change.model):
        return sender(*statement)


def _is_absence_kept(model: type[Model]) -> bool:
    """Whether a cache remembers that there is no such row, so that a new one matters to it."""
    return any(cached.keeps_absence for cached in cached_by(model))


def _keys_of(rows: QuerySet[Any]) -> Sequence[Any] | None:
    """Primary keys that all of ``rows`` are among, as their conditions name them; ``None`` where they don't."""
    query = rows.query
    return None if query.combinator else _keys_in(query.where, rows.model._meta.pk, query.base_table)


def _keys_in(node: WhereNode, pk: Any, table: Any) -> Sequence[Any] | None:
    if node.connector != AND or node.negated:
        return None
    for condition in node.children:
        if isinstance(condition, WhereNode):
            keys = _keys_in(condition, pk, table)
        else:
            column = getattr(condition, "lhs", None)
            # The model may be joined once more, and then its key there is another row's.
            is_key = getattr(column, "target", None) == pk and getattr(column, "alias", None) == table
            keys = _keys_named(condition) if is_key else None
        if keys is not None:
            return keys
    return None


def _keys_named(condition: Any) -> Sequence[Any] | None:
    if isinstance(condition, Exact):
        keys = [condition.rhs]
    elif isinstance(condition, In) and isinstance(condition.rhs, list | tuple | set | frozenset):
        keys = list(condition.rhs)
    else:
        return None
    return keys if all(type(key) in _KEY_TYPES for key in keys) else None


_KEY_TYPES = (int, str, UUID)
