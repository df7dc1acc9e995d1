"""Scenario 33: many writers of one SQLite file, of which one at a time may write."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing

import pytest

from django_enterprise_repo.exceptions import LockTimeout
from django_enterprise_repo.policies import BreakerPolicy, RetryPolicy
from django_enterprise_repo.resilience.breakers import breaker
from django_enterprise_repo.testing.operations import capture_operations
from tests.faults import django_env
from tests.faults.processes import wait_until
from tests.faults.setups import ENGINES, guarded, in_threads, write
from tests.testapp.models import Plain

pytestmark = [pytest.mark.usefixtures("databases"), pytest.mark.scenario(33, databases=("sqlite",))]


@pytest.fixture
def settings(tmp_path):
    """The settings of a file in which a statement waits ten milliseconds for its turn, and no longer."""
    return {"ENGINE": f"{ENGINES}.sqlite3", "NAME": str(tmp_path / "file.sqlite3"), "OPTIONS": {"timeout": 0.01}}


def names(settings):
    with closing(sqlite3.connect(settings["NAME"])) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM testapp_plain")]


def test_eight_writers_take_turns(settings, history):
    held = threading.Event()

    def work(number):
        if number == 0:
            hold_the_lock()
            return
        held.wait(30)
        for _ in range(10):
            write(history, alias)

    def hold_the_lock():
        """Until everybody has been refused, and some again."""
        with closing(sqlite3.connect(settings["NAME"], isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            before = breaker(alias).snapshot().window.calls
            held.set()
            wait_until(lambda: breaker(alias).snapshot().window.calls > before + 10, 30, "writers are refused")
            connection.execute("ROLLBACK")

    policy = RetryPolicy(attempts=30, deadline=30.0, max_wait=0.2)
    with guarded(settings, breaker=BreakerPolicy(fail_max=1), retry=policy) as alias:
        django_env.create_tables(alias, Plain)
        with capture_operations() as operations:
            in_threads(9, work)

        verdict = history.check(names(settings))
        assert verdict.holds
        assert verdict.ok
        assert verdict.unknown == 0
        assert any("lock_timeout" in operation.retried_for for operation in operations if operation.error is None)
        assert {type(operation.error) for operation in operations} <= {type(None), LockTimeout}
        assert breaker(alias).is_closed
        assert breaker(alias).snapshot().window.failures == 0


def test_a_lock_that_is_not_released_ends_in_a_failure_that_says_what_it_is(settings, history):
    with guarded(settings, retry=RetryPolicy(attempts=3, wait=0.01, deadline=30.0)) as alias:
        django_env.create_tables(alias, Plain)
        with closing(sqlite3.connect(settings["NAME"], isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            with capture_operations() as operations:
                refusal = write(history, alias)
            connection.execute("ROLLBACK")

        assert isinstance(refusal, LockTimeout)
        assert refusal.fate == "not_applied"
        assert [operation.attempts for operation in operations] == [3]
        assert breaker(alias).is_closed
        wait_until(lambda: write(history, alias) is None, 10, "the file takes writes")
    assert history.check(names(settings)).holds
