"""What all tests share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings

from django_enterprise_repo.resilience import breakers
from django_enterprise_repo.resilience.budget import budget
from django_enterprise_repo.writing import operation_ledger


@pytest.fixture(autouse=True, scope="session")
def _flush_by_deleting() -> None:
    """Between tests PostgreSQL deletes the few rows there are: to truncate all tables takes fifty times as long."""
    if settings.REPO_DATABASE != "postgres":
        return
    from django.db.backends.postgresql.operations import DatabaseOperations

    def sql_flush(self: Any, style: Any, tables: Any, **options: Any) -> list[str]:
        return [f"DELETE FROM {self.quote_name(table)};" for table in tables]  # keys are checked at COMMIT

    DatabaseOperations.sql_flush = sql_flush  # type: ignore[method-assign,assignment]


@pytest.fixture(autouse=True)
def _no_ledger() -> Iterator[None]:
    """The ledger's app is installed, but only the tests about it want a row for every operation."""
    operation_ledger.keep_in(None)
    yield
    operation_ledger.keep_in(None)


@pytest.fixture(autouse=True)
def _no_memory_of_failures() -> Iterator[None]:
    """What one test does to breakers and to the budget of retries, the next one does not see."""
    resolve = breakers._resolve
    yield
    breakers.configure(resolve)
    breakers.reset_breakers()
    budget.reset()


@pytest.fixture
def vendor() -> str:
    """The engine under test: ``"sqlite"``, ``"postgres"`` or ``"mariadb"``."""
    return str(settings.REPO_DATABASE)
