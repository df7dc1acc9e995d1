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


def begin_writing(rows: QuerySet[Any]) -> None:
    """Lock everybody else out on SQLite: at the first write it refuses who has read before another wrote."""
    connection = connections[rows.db]
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(rows.model._meta.db_table)} WHERE 1 = 0")


def locked_keys(rows: QuerySet[Any]) -> Sequence[Any]:
    """The keys of ``rows``, each once, which stay locked."""
    begin_writing(rows)
    return list(dict.fromkeys(locked(rows.order_by("pk")).order_by("pk").values_list("pk", flat=True)))
