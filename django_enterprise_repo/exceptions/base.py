"""What every error of the package is, and the errors of callers."""

from __future__ import annotations


class RepositoryError(Exception):
    """Base of everything this package raises on purpose."""


class InvalidArgument(RepositoryError, ValueError):
    """A verb was called with a value it cannot use; nothing was sent to the database."""


class InvalidArgumentType(RepositoryError, TypeError):
    """A verb was called with an object of the wrong type; nothing was sent to the database."""


class EmptyPredicate(InvalidArgument):
    """A set write would touch every row of the repository and did not say ``everything=True``."""
