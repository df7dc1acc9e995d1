"""Row locks that hold until the transaction ends, where the engine has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connections
from django.db.models import QuerySet


def locked(rows: QuerySet[Any]) -> QuerySet[Any]:
    """``rows``, locked when they are read, where the engine locks rows."""
    return plain(rows).select_for_update() if connections[rows.db].features.has_select_for_update else rows


def plain(rows: QuerySet[Any]) -> QuerySet[Any]:
    """``rows`` without joins, groups and duplicates, which no engine can lock."""
    query = rows.query
    if len(query.alias_map) <= 1 and not query.distinct and query.group_by is None:
        return rows
    return QuerySet(rows.model, using=rows.db).filter(pk__in=rows.order_by().values("pk"))


def locked_keys(rows: QuerySet[Any]) -> Sequence[Any]:
    """The keys of ``rows``, each once, which stay locked."""
    if connections[rows.db].vendor == "sqlite":
        # It locks the file at the first write, and refuses one to who has read before another wrote.
        with connections[rows.db].cursor() as cursor:
            table = connections[rows.db].ops.quote_name(rows.model._meta.db_table)
            cursor.execute(f"DELETE FROM {table} WHERE 1 = 0")
    return list(dict.fromkeys(locked(rows.order_by("pk")).order_by("pk").values_list("pk", flat=True)))
