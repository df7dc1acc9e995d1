"""The errors of the package.

Each keeps the built-in or Django type that code already catches for its kind of failure. Messages name
kinds, models and declared field names, never the values of rows.
"""

from __future__ import annotations

from .base import (
    EmptyPredicate,
    InvalidArgument,
    InvalidArgumentType,
    RepositoryError,
)
from .database import (
    CheckViolationError,
    CircuitOpenError,
    CommitMark,
    CommitOutcomeUnknown,
    Deadlock,
    DuplicateKeyError,
    Fate,
    ForeignKeyError,
    InvalidDataError,
    LockTimeout,
    NotNullError,
    QueryTimeout,
    RepositoryDatabaseError,
    RepositoryUnavailable,
    SerializationConflict,
)
from .queries import (
    InvalidFilter,
    InvalidOrdering,
    InvalidPagination,
    InvalidQuery,
    Problem,
)
from .writes import (
    HistoryElsewhere,
    HistoryMismatch,
    StaleObjectError,
)

__all__ = [
    "CheckViolationError",
    "CircuitOpenError",
    "CommitMark",
    "CommitOutcomeUnknown",
    "Deadlock",
    "DuplicateKeyError",
    "EmptyPredicate",
    "Fate",
    "ForeignKeyError",
    "HistoryElsewhere",
    "HistoryMismatch",
    "InvalidArgument",
    "InvalidArgumentType",
    "InvalidDataError",
    "InvalidFilter",
    "InvalidOrdering",
    "InvalidPagination",
    "InvalidQuery",
    "LockTimeout",
    "NotNullError",
    "Problem",
    "QueryTimeout",
    "RepositoryDatabaseError",
    "RepositoryError",
    "RepositoryUnavailable",
    "SerializationConflict",
    "StaleObjectError",
]
