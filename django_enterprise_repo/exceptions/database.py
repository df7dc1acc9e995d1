"""What a database refused, or failed to answer, in words that code can act on.

Each is also the Django error that the driver's own would have become, so ``except IntegrityError`` keeps
working, and the driver's error stays chained as ``__cause__``. Messages name kind, model, code and constraint; a
driver's own text may hold the values of rows and never gets into them.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from django.db import DatabaseError, DataError, IntegrityError, OperationalError

from .base import RepositoryError

#: What became of the statement or transaction that failed. ``"unknown"`` is the truth when the connection was
#: lost after it was sent: it may or may not have been applied, and nobody must repeat it blindly.
Fate = Literal["not_applied", "unknown"]


class RepositoryDatabaseError(RepositoryError, DatabaseError):
    """Base of what a database refused or failed to answer.

    Attributes:
        kind: what went wrong, one of a small closed set (``"duplicate_key"``, ``"deadlock"``, ``"connection"``…).
        model: label of the model that was worked on, ``None`` where none is known.
        alias: the database alias, ``None`` where none is known.
        code: SQLSTATE, MySQL error number or SQLite error name as text, ``None`` where the driver gave none.
        constraint: name of the constraint that was violated, where the database tells it.
        fields: names of the model fields that the constraint is about, where they can be found out. One of
            another model, say of its history, comes as ``"app.Model.field"``.
        retryable: whether the same call may succeed a moment later.
        fate: whether what was sent is known not to have been applied.
    """

    kind = "other"
    retryable = False
    _made_of: tuple[type[Any], ...] = ()

    def __init__(
        self,
        *,
        kind: str | None = None,
        model: str | None = None,
        alias: str | None = None,
        code: str | None = None,
        constraint: str | None = None,
        fields: tuple[str, ...] = (),
        retryable: bool | None = None,
        fate: Fate = "not_applied",
    ) -> None:
        self.kind = type(self).kind if kind is None else kind
        self.model, self.alias, self.code = model, alias, code
        self.constraint, self.fields = constraint, fields
        self.retryable = type(self).retryable if retryable is None else retryable
        self.fate: Fate = fate
        super().__init__(str(self))  # code that looks into the arguments of a Django error finds a text

    def __str__(self) -> str:
        told = [self.kind.replace("_", " ")]
        if self.model is not None:
            told.append(f"model {self.model}")
        if self.alias is not None:
            told.append(f"database {self.alias!r}")
        if self.code is not None:
            told.append(f"code {self.code}")
        if self.constraint is not None:
            told.append(f"constraint {self.constraint!r}")
        if self.fields:
            told.append(f"fields {', '.join(self.fields)}")
        if self.fate == "unknown":
            told.append("it is not known whether it was applied")
        return "; ".join(told)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self._made_of or (type(self),), self.args), dict(self.__dict__)


def _rebuild(made_of: tuple[type[Any], ...], args: tuple[Any, ...]) -> RepositoryDatabaseError:
    kind: type[RepositoryDatabaseError] = that_is_also(*made_of) if len(made_of) > 1 else made_of[0]
    return kind.__new__(kind, *args)


_combined: dict[tuple[type[RepositoryDatabaseError], type[Exception]], type[RepositoryDatabaseError]] = {}


def that_is_also(kind: type[RepositoryDatabaseError], django_type: type[Exception]) -> type[RepositoryDatabaseError]:
    """``kind`` as a subclass of ``django_type``, too; ``kind`` itself where it is one already.

    Drivers do not agree: a read-only server is an ``InternalError`` for psycopg and an ``OperationalError`` for
    mysqlclient. Code that catches either must go on catching it.
    """
    if issubclass(kind, django_type):
        return kind
    made_of = (kind, django_type)
    if made_of not in _combined:
        members = {"__module__": kind.__module__, "__doc__": kind.__doc__, "_made_of": made_of}
        _combined.setdefault(made_of, type(kind.__name__, made_of, members))
    return _combined[made_of]


class DuplicateKeyError(RepositoryDatabaseError, IntegrityError):
    """A row with the same unique values is there already. Exclusion constraints count here, too."""

    kind = "duplicate_key"


class ForeignKeyError(RepositoryDatabaseError, IntegrityError):
    """A row refers to one that does not exist, or is still referred to."""

    kind = "foreign_key"


class CheckViolationError(RepositoryDatabaseError, IntegrityError):
    """A check constraint says no."""

    kind = "check_violation"


class NotNullError(RepositoryDatabaseError, IntegrityError):
    """A column that must have a value has none."""

    kind = "not_null"


class InvalidDataError(RepositoryDatabaseError, DataError):
    """A value that the column cannot hold: too long, out of range, of the wrong shape."""

    kind = "invalid_data"


class LockTimeout(RepositoryDatabaseError, OperationalError):
    """Somebody else held a lock for longer than this call may wait."""

    kind = "lock_timeout"
    retryable = True


class Deadlock(RepositoryDatabaseError, OperationalError):
    """Two transactions waited for each other, and the database ended this one."""

    kind = "deadlock"
    retryable = True


class SerializationConflict(RepositoryDatabaseError, OperationalError):
    """What this transaction read was changed by another one; the whole transaction has to run again."""

    kind = "serialization"
    retryable = True


class QueryTimeout(RepositoryDatabaseError, OperationalError):
    """The statement took longer than the database or the caller's deadline allows, or was cancelled."""

    kind = "timeout"


class RepositoryUnavailable(RepositoryDatabaseError, OperationalError):
    """The database cannot be reached, is starting, stopping, full, read-only or out of connections."""

    kind = "connection"
    retryable = True


class CircuitOpenError(RepositoryUnavailable):
    """The database has failed so often lately that nothing was sent to it.

    Attributes:
        retry_after: seconds until the database is tried again.
    """

    kind = "circuit_open"

    def __init__(self, *, retry_after: float, **told: Any) -> None:
        super().__init__(**told)
        self.retry_after = retry_after


class CommitMark(NamedTuple):
    """What a transaction of PostgreSQL is recognised by after its COMMIT.

    Attributes:
        transaction: its id, as ``pg_current_xact_id()`` says it.
        system: the identifier of the cluster.
        timeline: the timeline of the cluster, which a promotion changes.
    """

    transaction: str
    system: int
    timeline: str


class CommitOutcomeUnknown(RepositoryUnavailable):
    """The connection was lost between COMMIT and its answer: the transaction may have been committed or not.

    Attributes:
        mark: what ``verify_commit()`` can find out the truth with, where it was asked for.
    """

    kind = "commit_unknown"
    retryable = False

    def __init__(self, *, fate: Fate = "unknown", mark: CommitMark | None = None, **told: Any) -> None:
        super().__init__(fate=fate, **told)
        self.mark = mark
