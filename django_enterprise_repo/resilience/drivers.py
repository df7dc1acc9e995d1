"""Reading exceptions of database drivers by their attributes, with no driver imported."""

from __future__ import annotations

from typing import Any

from django.db import Error

_PEP249 = frozenset(
    (
        "InterfaceError",
        "DatabaseError",
        "DataError",
        "OperationalError",
        "IntegrityError",
        "InternalError",
        "ProgrammingError",
        "NotSupportedError",
    )
)


def pep249_name(error: BaseException) -> str | None:
    """The most exact class name of PEP 249 that ``error`` has, ``None`` when it is no driver's nor Django's."""
    names = [cls.__name__ for cls in type(error).__mro__]
    return next((name for name in names if name in _PEP249), None) if "Error" in names else None


def is_database_error(error: BaseException) -> bool:
    """Whether Django or a database driver raised it, whichever driver that is."""
    return isinstance(error, Error) or pep249_name(error) is not None


def driver_error(error: BaseException) -> BaseException:
    """The driver's own exception behind one of Django's, the error itself where there is none.

    Behind a ``TransactionManagementError`` there is one of Django's, the error that broke the transaction: that one
    was told before, and this one is the caller's mistake.
    """
    cause = error.__cause__
    if isinstance(error, Error) and not isinstance(cause, Error) and cause is not None and is_database_error(cause):
        return cause
    return error


def sqlstate(driver: BaseException) -> str | None:
    """PostgreSQL's code: psycopg 3 and psycopg2 name it differently."""
    code = getattr(driver, "sqlstate", None) or getattr(driver, "pgcode", None)
    return code if isinstance(code, str) else None


def sqlite_name(driver: BaseException) -> str | None:
    """SQLite's code by name."""
    name = getattr(driver, "sqlite_errorname", None)
    return name if isinstance(name, str) else None


def mysql_number(driver: BaseException) -> int | None:
    """MySQL's error number, which is the first argument.

    Also of Django's own ``IntegrityError``, into which its MySQL backend turns some errors without chaining them.
    """
    number: Any = driver.args[0] if driver.args else None
    return number if isinstance(number, int) and not isinstance(number, bool) else None
