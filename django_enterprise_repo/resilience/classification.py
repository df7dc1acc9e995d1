"""What a failed call says: what went wrong, whether it was applied, and what to do with the connection.

By code, not by Python type. Two facts carry most of it: a server that reports an error did not apply the
statement (two codes excepted), and neither did one that it was never sent to. After anything else nobody knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Literal, NamedTuple

from django.core import exceptions as django_exceptions
from django.db import Error, transaction

from ..exceptions import Fate, RepositoryDatabaseError, RepositoryError, StaleObjectError
from . import codes
from .codes import KINDS, Meaning, Vote
from .drivers import driver_error, is_database_error, mysql_number, pep249_name, sqlite_name, sqlstate

__all__ = ["KINDS", "Phase", "Verdict", "classify", "first_cause"]

#: Where in the life of a connection the error was raised.
Phase = Literal["connect", "begin", "statement", "fetch", "commit", "rollback"]


class Verdict(NamedTuple):
    """The classification of one error.

    Attributes:
        kind: what went wrong, one of :data:`KINDS`.
        vote: what a circuit breaker should hear; ``"void"`` says nothing about the database's health.
        fate: whether what was sent is known not to have been applied.
        transient: a later try may succeed; within a transaction, a try of the whole of it. Whether trying again
            is safe is for ``fate`` to say.
        drop: the connection is of no use any more.
        code: SQLSTATE, MySQL error number or SQLite error name as text, ``None`` where there is none.
    """

    kind: str
    vote: Vote
    fate: Fate
    transient: bool
    drop: bool
    code: str | None


#: What Python, Django or this package say of a call that was wrong before the database could be.
_MISTAKES = (
    django_exceptions.ObjectDoesNotExist,
    django_exceptions.MultipleObjectsReturned,
    django_exceptions.ValidationError,
    django_exceptions.FieldError,
    django_exceptions.FieldDoesNotExist,
    django_exceptions.ImproperlyConfigured,
    django_exceptions.SuspiciousOperation,
    django_exceptions.EmptyResultSet,
    django_exceptions.FullResultSet,
    RepositoryError,
    ValueError,
    TypeError,
    ArithmeticError,
    LookupError,
    AttributeError,
)


def classify(error: BaseException, phase: Phase = "statement") -> Verdict:
    """What ``error``, raised by Django or by a driver in ``phase``, means.

    It looks at this error and the driver's behind it. One that left an ``atomic`` block may hide the one that
    mattered, see :func:`first_cause`.
    """
    if not isinstance(error, Exception):
        return Verdict(*codes.CANCELLED, None)
    if isinstance(error, RepositoryDatabaseError):
        plain = codes.BY_KIND.get(error.kind, codes.OTHER)
        return Verdict(*plain._replace(fate=error.fate, transient=error.retryable), error.code)
    if isinstance(error, StaleObjectError):
        return Verdict(*codes.STALE, None)
    if not is_database_error(error):
        return Verdict(*_not_of_a_database(error), None)

    driver = driver_error(error)
    meaning, code = _meaning(driver)
    if phase == "connect":
        meaning, code = _while_connecting(driver, meaning, code)
    elif phase == "commit" and (meaning.drop or meaning.fate == "unknown"):
        # A session that ends during COMMIT may end before or after it took effect, whatever it says last.
        meaning = codes.COMMIT_UNKNOWN._replace(vote=meaning.vote)
    elif phase in ("begin", "rollback"):
        # There is nothing yet that could be applied, or the server rolls it back by itself when the session is lost.
        meaning = meaning._replace(fate="not_applied")
    return Verdict(*meaning, code)


def _not_of_a_database(error: Exception) -> Meaning:
    if any(cls.__name__ in codes.INTERRUPTIONS for cls in type(error).__mro__):
        return codes.CANCELLED
    if isinstance(error, _MISTAKES):
        return codes.CALLER
    return codes.OTHER._replace(fate="unknown")


def _meaning(driver: BaseException) -> tuple[Meaning, str | None]:
    if (state := sqlstate(driver)) is not None:
        return codes.POSTGRES.get(state) or codes.POSTGRES.get(state[:2], codes.OTHER), state
    if (name := sqlite_name(driver)) is not None:
        known = name
        while known and known not in codes.SQLITE:
            known = known.rpartition("_")[0]
        return codes.SQLITE.get(known, codes.OTHER), name
    if (number := mysql_number(driver)) is not None:
        return codes.MYSQL.get(number, codes.OTHER), str(number)
    return _meaning_without_code(driver), None


def _meaning_without_code(driver: BaseException) -> Meaning:
    text, name, from_django = str(driver), pep249_name(driver), isinstance(driver, Error)
    if any(cls.__name__ in codes.POOL_ERRORS for cls in type(driver).__mro__):
        return codes.POOL
    if text in codes.CLOSED_TEXTS:
        return codes.CLOSED
    if text in codes.CLOSED_CURSOR_TEXTS:
        return codes.CALLER
    if name in ("OperationalError", "InterfaceError"):
        return codes.LOST
    if name in ("InternalError", "DatabaseError") and not from_django:
        return codes.LOST  # psycopg2 may have no other word for a connection that went away
    if from_django and codes.DJANGO_FOREIGN_KEY.search(text):
        return codes.FOREIGN_KEY
    return codes.CALLER


def _while_connecting(driver: BaseException, meaning: Meaning, code: str | None) -> tuple[Meaning, str | None]:
    """Before there is a connection nothing can have been applied, and a refusal concerns our settings."""
    if meaning.kind == "pool":
        return meaning, code
    if code is None:
        code = _login_code(driver)
        if code is None:
            return (codes.CONFIGURATION if meaning.kind == "caller" else codes.UNREACHED), None
        meaning = codes.POSTGRES.get(code) or codes.POSTGRES[code[:2]]
    if meaning.kind in ("caller", "invalid_data"):
        meaning = codes.CONFIGURATION
    elif meaning.kind in ("connection", "session_lost", "commit_unknown", "other"):
        meaning = codes.UNREACHED
    return meaning._replace(fate="not_applied", drop=True), code


def _login_code(driver: BaseException) -> str | None:
    """The SQLSTATE with which a PostgreSQL server refused a connection, as far as it can be told."""
    if getattr(getattr(driver, "pgconn", None), "needs_password", False):
        return "28P01"
    # One line for each host, and for each try with and without TLS: they must agree.
    attempts = [line for line in str(driver).splitlines() if "connection to server " in line]
    told = {
        next((code for pattern, code in codes.POSTGRES_LOGIN_TEXTS if pattern.search(line)), None) for line in attempts
    }
    return told.pop() if len(told) == 1 else None


def first_cause(error: BaseException) -> BaseException:
    """The database error that a failed end of an ``atomic`` block hides, ``error`` itself where it hides none.

    On leaving its outermost block, ``Atomic.__exit__`` puts the connection back into autocommit. If the connection
    broke, that connects anew, and while the database stays away the error of connecting replaces the one that
    broke the transaction: a lost COMMIT looks like a refused connection, which says "not applied". Use this
    on whatever comes out of an ``atomic`` block before classifying it, and never on an error caught elsewhere.

    Python's ``__context__`` alone cannot be followed: an error raised while another one is being handled, as by
    ``get_or_create`` after its ``IntegrityError``, has it as well and hides nothing. Only an error whose traceback
    leads through ``Atomic.__exit__`` to ``set_autocommit`` is looked behind.
    """
    seen: set[int] = set()
    while id(error) not in seen and _hides_another(error):
        seen.add(id(error))
        hidden = next((earlier for earlier in _before(error) if is_database_error(earlier)), None)
        if hidden is None:
            break
        error = hidden
    return error


def _before(error: BaseException) -> Iterator[BaseException]:
    """What led to the failure in which ``error`` was raised, the latest first, without its own driver's error."""
    told = {id(error)}
    error = driver_error(error)
    while (earlier := error.__cause__ or error.__context__) is not None and id(earlier) not in told:
        told.add(id(earlier))
        yield earlier
        error = earlier


def _hides_another(error: BaseException) -> bool:
    return any(_reconnects_after_atomic(tried.__traceback__) for tried in (error, driver_error(error)))


def _reconnects_after_atomic(traceback: TracebackType | None) -> bool:
    leaving = False
    while traceback is not None:
        code = traceback.tb_frame.f_code
        leaving = leaving or code is transaction.Atomic.__exit__.__code__
        if leaving and code.co_name == "set_autocommit":
            return True
        traceback = traceback.tb_next
    return False
