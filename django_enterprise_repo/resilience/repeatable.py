"""Whether a query may be sent twice as well as once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import Func
from django.db.models.expressions import RawSQL
from django.db.models.sql.where import ExtraWhere

#: Packages whose functions are known to change nothing in the database.
_KNOWN = ("django.db.models.", "django_enterprise_repo.", "django.contrib.postgres.", "django.contrib.gis.")


def is_repeatable(queryset: Any) -> bool:
    """Whether reading ``queryset`` again does no more than reading it once.

    Raw SQL, ``extra()`` and functions that a project brought itself may have side effects (``nextval()``,
    ``pg_advisory_lock()``), and nobody can tell by looking.
    """
    return all(map(_is_harmless, _queries(queryset.query)))


def _queries(query: Any) -> Iterator[Any]:
    yield query
    for combined in query.combined_queries:
        yield from _queries(combined)


def _is_harmless(query: Any) -> bool:
    if query.extra or query.extra_order_by or query.select_for_update:
        return False
    parts = [*query.annotations.values(), *query.order_by, *query.distinct_fields, query.where]
    return not any(map(_may_act, parts))


def _may_act(expression: Any) -> bool:
    """Whether ``expression`` holds something that could change the database."""
    if isinstance(expression, RawSQL | ExtraWhere) or (isinstance(expression, Func) and _is_unknown(type(expression))):
        return True
    query = expression if hasattr(expression, "combined_queries") else getattr(expression, "query", None)
    if query is not None:
        return not all(map(_is_harmless, _queries(query)))
    return any(map(_may_act, _parts_of(expression)))


def _parts_of(expression: Any) -> list[Any]:
    if hasattr(expression, "children"):  # a node of the WHERE tree
        return list(expression.children)
    parts = expression.get_source_expressions() if hasattr(expression, "get_source_expressions") else []
    if hasattr(expression, "rhs"):  # a lookup whose right side is a queryset or a plain value
        parts = [*parts, expression.rhs]
    return [part for part in parts if part is not None]


def _is_unknown(kind: type[Func]) -> bool:
    return kind is Func or not kind.__module__.startswith(_KNOWN)
