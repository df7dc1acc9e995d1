"""Databases behind the package's own engines, and writes that are recorded with their fate."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections
from django.test import override_settings

from django_enterprise_repo.exceptions import RepositoryDatabaseError
from django_enterprise_repo.policies import BreakerPolicy, RetryPolicy
from django_enterprise_repo.resilience.breakers import reset_breakers
from django_enterprise_repo.resilience.budget import budget
from tests.faults import django_env
from tests.faults.history import History
from tests.testapp.models import Plain

ALIAS = "guarded"
ENGINES = "django_enterprise_repo.db.backends"


def postgres(name: str, *ports: int, **options: Any) -> dict[str, Any]:
    """``django_env.postgres`` with the package's engine."""
    options = {"application_name": ALIAS, **options}
    return django_env.postgres(name, *ports, engine=f"{ENGINES}.postgresql", **options)


@contextmanager
def guarded(
    settings: dict[str, Any], *, breaker: BreakerPolicy | None = None, retry: RetryPolicy | None = None
) -> Iterator[str]:
    """The alias of a database that nothing was said of yet; the policies are the project's."""
    project = {"BREAKER": {ALIAS: breaker or BreakerPolicy()}, "RETRY": retry or RetryPolicy()}
    with override_settings(ENTERPRISE_REPO=project), django_env.databases({ALIAS: settings}):
        reset_breakers()
        budget.reset()
        try:
            yield ALIAS
        finally:
            reset_breakers()


def write(history: History, alias: str, add: Callable[[str], object] | None = None) -> RepositoryDatabaseError | None:
    """Add a row with an id of its own and record what became of it; the error, if it ended in one."""
    try:
        with history.write(failed=_NotApplied) as name, _fate_told():
            add(name) if add else Plain.objects.add(Plain(name=name), using=alias)
    except (_NotApplied, _Unknown) as told:
        return told.error
    return None


class _Told(Exception):
    def __init__(self, error: RepositoryDatabaseError) -> None:
        super().__init__()
        self.error = error


class _NotApplied(_Told): ...


class _Unknown(_Told): ...


@contextmanager
def _fate_told() -> Iterator[None]:
    try:
        yield
    except RepositoryDatabaseError as error:
        raise (_NotApplied if error.fate == "not_applied" else _Unknown)(error) from error


def in_threads(count: int, work: Callable[[int], object], *, within: float | None = 120.0) -> None:
    """Run ``work(number)`` in so many threads that begin together, each with connections of its own.

    ``within`` is how many seconds each may take.

    Raises:
        ExceptionGroup: what they raised.
    """
    errors: list[Exception] = []
    begin = threading.Barrier(count)

    def run(number: int) -> None:
        begin.wait(30)
        try:
            work(number)
        except Exception as error:  # noqa: BLE001  # told below
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[number], daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(within)
    assert not any(thread.is_alive() for thread in threads), "A thread is stuck."
    if errors:
        raise ExceptionGroup("Threads failed.", errors)
