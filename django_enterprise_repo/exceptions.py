"""The errors of the package.

Each keeps the built-in or Django type that code already catches for its kind of failure. Messages name
kinds, models and declared field names, never the values of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from django.db import DatabaseError


class RepositoryError(Exception):
    """Base of everything this package raises on purpose."""


class InvalidArgument(RepositoryError, ValueError):
    """A verb was called with a value it cannot use; nothing was sent to the database."""


class InvalidArgumentType(RepositoryError, TypeError):
    """A verb was called with an object of the wrong type; nothing was sent to the database."""


class EmptyPredicate(InvalidArgument):
    """A set write would touch every row of the repository and did not say ``everything=True``."""


class Problem(NamedTuple):
    """One thing that is wrong with a filter, an ordering or a page request.

    ``path`` leads to it through the nested input (``("or", 1, "price", "gt")``), ``code`` is stable and
    meant for machines, ``message`` is for people.
    """

    path: tuple[str | int, ...]
    code: str
    message: str

    def __str__(self) -> str:
        where = ".".join(str(step) for step in self.path)
        return f"{where}: {self.message}" if where else self.message


class InvalidQuery(RepositoryError, ValueError):
    """Client input that was refused as a whole, with every problem found in it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "; ".join(str(problem) for problem in self.problems)


class InvalidFilter(InvalidQuery):
    """A dict filter that is not in the grammar, or uses what its policy does not declare."""


class InvalidOrdering(InvalidQuery):
    """An ``order_by`` that is not in the grammar, or uses what its policy does not declare."""


class InvalidPagination(InvalidQuery):
    """A page request outside the caps or not in the grammar."""


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
