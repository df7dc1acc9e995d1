"""Updates that reached no row: what they mean, and what they must not break."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DatabaseError, connections

from ..exceptions import StaleObjectError

try:
    from django.core.exceptions import ObjectNotUpdated
except ImportError:  # before Django 6.0
    ObjectNotUpdated = None  # type: ignore[assignment,misc]


class AlreadyDone(Exception):
    """The row was deleted, or restored, by somebody else between reading and writing it."""


def is_missing_row(error: BaseException) -> bool:
    """Whether Django says that an UPDATE it had to make reached no row.

    Up to Django 5.2 that is a bare ``DatabaseError``, without a driver's error behind it.
    """
    if ObjectNotUpdated is not None and isinstance(error, ObjectNotUpdated):
        return True
    return type(error) is DatabaseError and error.__cause__ is None


@contextmanager
def harmless_misses(alias: str) -> Iterator[None]:
    """Leave an outer transaction usable after a single UPDATE that reached no row.

    Django marks the transaction for rollback whenever an exception leaves ``save()``. Here nothing was
    written and the database reported no error, so whoever catches the conflict can go on.
    """
    connection = connections[alias]
    needed_rollback = connection.needs_rollback
    try:
        yield
    except (StaleObjectError, AlreadyDone):
        connection.needs_rollback = needed_rollback
        raise
    except DatabaseError as error:
        if is_missing_row(error):
            connection.needs_rollback = needed_rollback
        raise
