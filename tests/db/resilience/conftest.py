"""What the tests of the resilience layer share: a quick breaker, and a database that fails when it is told to."""

from __future__ import annotations

import pytest
from django.db import connection

from django_enterprise_repo.policies import BreakerPolicy
from django_enterprise_repo.resilience import breakers


@pytest.fixture
def quick_breaker():
    """The breaker of the default database, which opens at the second failure and for a long time."""
    breakers.configure(lambda alias: BreakerPolicy(fail_max=2, reset_timeout=30.0))
    breakers.reset_breakers()  # the database was connected to before
    return breakers.breaker("default")


class Failing:
    """Lets statements of a connection fail before they are sent, as a driver would."""

    def __init__(self) -> None:
        self.errors: list[Exception] = []
        self.sent: list[str] = []

    def __call__(self, execute, sql, params, many, context):
        if self.errors and not sql.startswith("SET "):  # a new connection introduces itself, which is not meant
            error = self.errors.pop(0)
            if error is not None:
                with context["connection"].wrap_database_errors:
                    raise error
        self.sent.append(sql)
        return execute(sql, params, many, context)


@pytest.fixture
def failing():
    """Fails the next statements with the driver errors in its list; ``None`` lets one pass."""
    wrapper = Failing()
    with connection.execute_wrapper(wrapper):
        yield wrapper


def lost() -> Exception:
    """The driver's error of a connection that was lost after something was sent."""
    return connection.Database.OperationalError("server closed the connection unexpectedly")


def never_sent() -> Exception:
    """Our own side has had no connection to give, so nothing was sent: the error of a pool."""
    return type("PoolTimeout", (connection.Database.OperationalError,), {})("no connection in time")


def deadlock() -> Exception:
    """The database has ended the statement, and nothing of it was applied."""
    if connection.vendor == "mysql":
        return connection.Database.OperationalError(1213, "Deadlock found")
    error = connection.Database.OperationalError("deadlock detected")
    if connection.vendor == "sqlite":
        error.sqlite_errorname = "SQLITE_BUSY"
    else:
        error.sqlstate = "40P01"
    return error
