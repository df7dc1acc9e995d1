"""Reading a history: the versions of a row, all rows as they were, and what differs between two versions."""

from __future__ import annotations

import datetime
from typing import Any, NamedTuple

from django.db.models import QuerySet
from simple_history.models import HistoricalChanges

from ..exceptions import InvalidArgument, InvalidArgumentType
from .keys import key_conditions
from .tables import HistoryTable
from .trail import HistoryQuerySet


class Difference(NamedTuple):
    """One column that two versions of a row disagree on; a many-to-many relation has lists of rows for values."""

    field: str
    old: Any
    new: Any


def versions_of(table: HistoryTable, pk: Any, alias: str) -> QuerySet[Any]:
    """The history rows of the row with the key ``pk``, newest first."""
    rows: QuerySet[Any] = HistoryQuerySet(table.history, using=alias)
    return rows.filter(**key_conditions(table.model, pk)).order_by("-history_date", "-history_id")


def version_of(table: HistoryTable, pk: Any, version: Any, alias: str) -> Any:
    """One history row of the row with the key ``pk``, given as itself or by its ``history_id``.

    Raises:
        DoesNotExist: of the history's model: no such version of this row.
        InvalidArgumentType: a history row of another model.
    """
    if isinstance(version, HistoricalChanges):
        if not isinstance(version, table.history):
            raise InvalidArgumentType(f"Expected a version of a {table.model._meta.label}.")
        version = version.history_id
    return versions_of(table, pk, alias).get(history_id=version)


def rows_as_of(table: HistoryTable, moment: Any, alias: str) -> QuerySet[Any]:
    """The last version of every row at ``moment``, one of each, without the rows that had been deleted for good."""
    if not isinstance(moment, datetime.datetime):
        raise InvalidArgumentType(f"as_of() takes a date and time, not {type(moment).__name__}.")
    rows: Any = HistoryQuerySet(table.history, using=alias).filter(history_date__lte=moment)
    rows._as_of = moment
    latest: QuerySet[Any] = rows.latest_of_each().as_instances()
    return latest


def differences(table: HistoryTable, old: Any, new: Any) -> list[Difference]:
    """Where the version ``new`` is not what ``old`` was, columns first, in the model's order."""
    found = [
        Difference(column.name, getattr(old, column.attname), getattr(new, column.attname))
        for column, _ in table.tracked
        if getattr(old, column.attname) != getattr(new, column.attname)
    ]
    relations = [field.name for field in table.history._history_m2m_fields]
    if relations:
        delta = new.diff_against(old, included_fields=relations)
        found += [Difference(change.field, change.old, change.new) for change in delta.changes]
    return found


def require_alive(version: Any, label: str) -> None:
    """Refuse to make a row what it was when it had just been deleted.

    Raises:
        InvalidArgument: the version is that of a deletion.
    """
    if version.history_type == "-":
        raise InvalidArgument(f"That version is the deletion of the {label}; choose an earlier one.")
