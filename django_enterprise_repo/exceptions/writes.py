"""Writes that did not happen although the database would have taken them."""

from __future__ import annotations

from typing import Any

from django.db import DatabaseError

from .base import RepositoryError


class StaleObjectError(RepositoryError, DatabaseError):
    """Somebody else changed or deleted the row since this version of it was read.

    A ``DatabaseError`` as is Django's own for a forced update without a row. The attributes carry what a
    handler needs to reload; the message names the model alone.

    Attributes:
        model: the model class.
        pk: primary key of the row.
        expected: the version the write was based on, ``None`` where the model has no version.
        actual: the version found in the database, ``None`` when the row is gone or soft-deleted.
    """

    def __init__(self, model: type[Any], pk: Any, *, expected: int | None, actual: int | None) -> None:
        self.model, self.pk, self.expected, self.actual = model, pk, expected, actual
        super().__init__(f"A {model._meta.label} was changed by somebody else since it was read.")

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_stale, (self.model, self.pk, self.expected, self.actual)


def _rebuild_stale(model: type[Any], pk: Any, expected: int | None, actual: int | None) -> StaleObjectError:
    return StaleObjectError(model, pk, expected=expected, actual=actual)


class HistoryElsewhere(RepositoryError, DatabaseError):
    """The history of a model would be written on another database than its rows, so neither was written."""

    def __init__(self, model: type[Any]) -> None:
        self.model = model
        super().__init__(f"The history of {model._meta.label} is on another database; give it use_base_model_db=True.")

    def __reduce__(self) -> tuple[Any, ...]:
        return HistoryElsewhere, (self.model,)


class HistoryMismatch(RepositoryError, DatabaseError):
    """A change and its history did not come to the same number of rows, so neither was written."""

    def __init__(self, model: type[Any]) -> None:
        self.model = model
        super().__init__(f"Not every changed row of {model._meta.label} was recorded.")

    def __reduce__(self) -> tuple[Any, ...]:
        return HistoryMismatch, (self.model,)
