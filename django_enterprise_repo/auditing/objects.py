"""History rows made in Python, one by one: for many-to-many histories, signal receivers and columns of one's own."""

from __future__ import annotations

from typing import Any

from django.db.models import Model, QuerySet

from .stamps import BY_HAND, Stamp, stamping
from .tables import HistoryTable


def copy_objects(
    table: HistoryTable, rows: QuerySet[Any], kind: str, stamp: Stamp, user: Any, entity: Model | None
) -> int:
    """Record ``rows`` as they are now, as simple-history would, and answer how many there were.

    Args:
        user: the acting user as an instance, for receivers that look at it.
        entity: the instance in hand, when ``rows`` is its row: what it was told by simple-history's attributes holds.
    """
    originals: QuerySet[Any] = QuerySet(table.model, using=rows.db).filter(pk__in=rows.order_by().values("pk"))
    count = 0
    for instance in list(originals):
        for name, value in zip(BY_HAND, (user, table.fitting_reason(stamp.reason), stamp.moment), strict=True):
            if entity is not None and name in entity.__dict__:
                setattr(instance, name, entity.__dict__[name])  # also when it says that nobody did it
            elif value is not None and not hasattr(table.model, name):
                setattr(instance, name, value)
        with stamping(stamp):
            table.records.create_historical_record(instance, kind, using=rows.db)
        count += 1
    return count
