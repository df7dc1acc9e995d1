"""History rows made in Python, one by one: for many-to-many histories, signal receivers and columns of one's own."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from .stamps import BY_HAND, Stamp
from .tables import HistoryTable


def copy_objects(table: HistoryTable, rows: QuerySet[Any], kind: str, stamp: Stamp, user: Any) -> int:
    """Record ``rows`` as they are now, as simple-history would, and answer how many there were.

    Args:
        user: the acting user as an instance, for receivers that look at it.
    """
    count = 0
    originals: QuerySet[Any] = QuerySet(table.model, using=rows.db).filter(pk__in=rows.order_by().values("pk"))
    for instance in list(originals):
        for name, value in zip(BY_HAND, (user, table.fitting_reason(stamp.reason), stamp.moment), strict=True):
            if value is not None and not hasattr(table.model, name):
                setattr(instance, name, value)
        table.records.create_historical_record(instance, kind, using=rows.db)
        count += 1
    return count
