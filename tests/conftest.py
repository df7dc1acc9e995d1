"""What all tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.conf import settings

from django_enterprise_repo.resilience import breakers
from django_enterprise_repo.resilience.budget import budget
from django_enterprise_repo.writing import operation_ledger


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
