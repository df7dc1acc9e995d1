"""Client input that was refused: filters, orderings, pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .base import RepositoryError


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
