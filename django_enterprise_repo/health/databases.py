"""Asking a database, on a connection that nobody else uses and that is closed whatever happens."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor

from ..resilience.classification import Phase, classify
from ..resilience.deadlines import watched
from ..resilience.guards import guard_of, recorded_verdict
from .report import Outcome

#: OPTIONS in whole seconds that bound how long the thread of a probe can hang where nobody can cut it yet.
_LIMITS = {"postgresql": ("connect_timeout",), "mysql": ("connect_timeout", "read_timeout", "write_timeout")}
#: What makes the database look, and not only its driver: SQLite answers SELECT 1 without opening the file.
_PINGS = {"postgresql": "SELECT pg_is_in_recovery()", "sqlite": "PRAGMA schema_version"}


def ping(alias: str, seconds: float) -> Outcome:
    """Connect and ask for one row."""
    with own_connection(alias, seconds) as connection, connection.cursor() as cursor:
        cursor.execute(_PINGS.get(connection.vendor, f"SELECT 1{connection.features.bare_select_suffix}"))
        (answer,) = cursor.fetchone()
    return Outcome("pass", more={"inRecovery": answer} if connection.vendor == "postgresql" else {})


def unapplied(alias: str, seconds: float) -> Outcome:
    """Look for migrations that the code has and the database doesn't."""
    with own_connection(alias, seconds) as connection:
        # What records migrations asks for the connection by its alias. In this thread that is nobody else's.
        connections[alias] = connection
        try:
            executor = MigrationExecutor(connection)
            if alias != DEFAULT_DB_ALIAS and not executor.recorder.has_table():
                return Outcome("pass", more={"isMigrated": False})  # a database that is not Django's to migrate
            pending = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
        finally:
            del connections[alias]
    return Outcome("fail" if pending else "pass", "pending" if pending else None, observed=(pending, "migrations"))


@contextmanager
def own_connection(alias: str, seconds: float) -> Iterator[BaseDatabaseWrapper]:
    """A new connection to ``alias``, cut after ``seconds``, that asks no circuit breaker and tells it nothing.

    It comes from no pool: that all of a pool's connections are in use says nothing about the database.

    Raises:
        django.db.Error: with the verdict on it as ``repository_verdict``.
    """
    connection = connections[alias].copy()
    _limit(connection, seconds)
    guard_of(connection).voters += 1
    with watched(time.monotonic() + seconds) as watch:
        try:
            connection.ensure_connection()
            if connection.vendor == "sqlite" or hasattr(connection.connection, "fileno"):
                watch.attach(connection)
            yield connection
        except (Error, ImproperlyConfigured) as error:
            phase: Phase = "connect" if connection.connection is None else "statement"
            verdict = recorded_verdict(error) or classify(error, phase)
            kind = "timeout" if watch.expired else verdict.kind
            cast("Any", error).repository_verdict = verdict._replace(kind=kind)
            raise
        finally:
            watch.detach()
            guard_of(connection).discard(connection)


def _limit(connection: BaseDatabaseWrapper, seconds: float) -> None:
    """Let the driver give up soon after we have, unless the project lets it sooner."""
    options: dict[str, Any] = connection.settings_dict["OPTIONS"]
    options.pop("pool", None)
    for name in _LIMITS.get(connection.vendor, ()):
        theirs = int(options.get(name) or 0)
        options[name] = min(theirs or math.inf, math.ceil(seconds))
