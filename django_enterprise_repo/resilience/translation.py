"""From a database's error and its verdict to an error of this package."""

from __future__ import annotations

from types import MappingProxyType

import django.db
from django.db.models import Model

from ..exceptions import (
    CheckViolationError,
    CommitOutcomeUnknown,
    Deadlock,
    DuplicateKeyError,
    ForeignKeyError,
    InvalidDataError,
    LockTimeout,
    NotNullError,
    QueryTimeout,
    RepositoryDatabaseError,
    RepositoryError,
    RepositoryUnavailable,
    SerializationConflict,
)
from ..exceptions.database import that_is_also
from .classification import Verdict
from .constraints import describe, violation
from .drivers import is_database_error, pep249_name

_CLASSES: MappingProxyType[str, type[RepositoryDatabaseError]] = MappingProxyType(
    {
        "duplicate_key": DuplicateKeyError,
        "foreign_key": ForeignKeyError,
        "check_violation": CheckViolationError,
        "not_null": NotNullError,
        "invalid_data": InvalidDataError,
        "lock_timeout": LockTimeout,
        "deadlock": Deadlock,
        "serialization": SerializationConflict,
        "timeout": QueryTimeout,
        "connection": RepositoryUnavailable,
        "shutdown": RepositoryUnavailable,
        "resources": RepositoryUnavailable,
        "storage": RepositoryUnavailable,
        "read_only": RepositoryUnavailable,
        "authentication": RepositoryUnavailable,
        "configuration": RepositoryUnavailable,
        "session_lost": RepositoryUnavailable,
        "pool": RepositoryUnavailable,
        "commit_unknown": CommitOutcomeUnknown,
    }
)
_ABOUT_FIELDS = frozenset({"duplicate_key", "foreign_key", "check_violation", "not_null", "invalid_data"})


def translate(error: Exception, verdict: Verdict, *, model: type[Model] | None, alias: str | None) -> Exception:
    """The package's own error for ``error``, to be raised from its cause, or ``error`` where there is no better word.

    Whatever ``error`` is of Django's types, the new one is, too, so that no handler misses it. Errors of this
    package, mistakes of callers and what is no database's error stay as they are.
    """
    kind = _CLASSES.get(verdict.kind)
    if kind is None or isinstance(error, RepositoryError) or not is_database_error(error):
        return error
    django_type: type[Exception] = getattr(django.db, pep249_name(error) or "Error")
    constraint, fields = (
        describe(violation(error), model, verdict.kind) if verdict.kind in _ABOUT_FIELDS else (None, ())
    )
    return that_is_also(kind, django_type)(
        kind=verdict.kind,
        model=None if model is None else model._meta.label,
        alias=alias,
        code=verdict.code,
        constraint=constraint,
        fields=fields,
        retryable=verdict.transient,
        fate=verdict.fate,
    )
