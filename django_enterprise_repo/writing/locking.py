"""Row locks that hold until the transaction ends, where the engine has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connections
from django.db.models import QuerySet


def locked(rows: QuerySet[Any]) -> QuerySet[Any]:
    """``rows``, locked when they are read; as they are where the engine locks no rows or cannot lock these."""
    can_lock = connections[rows.db].features.has_select_for_update
    return rows.select_for_update() if can_lock and not rows.query.distinct else rows


def locked_keys(rows: QuerySet[Any]) -> Sequence[Any]:
    """The keys of ``rows``, each once, which stay locked."""
    return list(dict.fromkeys(locked(rows.order_by("pk")).values_list("pk", flat=True)))
