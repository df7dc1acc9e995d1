"""Scenarios 24 and 25: another server takes over, or the present one takes no writes any more."""

from __future__ import annotations

import threading

import pytest

from django_enterprise_repo.exceptions import RepositoryUnavailable
from django_enterprise_repo.policies import BreakerPolicy, RetryPolicy
from django_enterprise_repo.resilience.breakers import breaker
from django_enterprise_repo.testing.operations import capture_operations
from tests.faults import django_env
from tests.faults.processes import wait_until
from tests.faults.setups import guarded, in_threads, postgres, write
from tests.testapp.models import Plain

pytestmark = pytest.mark.usefixtures("databases")
QUICK = BreakerPolicy(fail_max=5, reset_timeout=0.2, max_reset_timeout=0.5)


@pytest.fixture
def pair(standby_pair):
    """Primary, standby, and the settings of a database that is found on whichever takes writes."""
    primary, standby = standby_pair
    with primary.database() as name:
        settings = postgres(name, primary.port, standby.port, target_session_attrs="read-write")
        yield primary, standby, settings


def names(server, settings):
    return [name for (name,) in server.execute("SELECT name FROM testapp_plain", database=settings["NAME"])]


@pytest.mark.scenario(24, databases=("postgres",))
def test_a_synchronous_standby_takes_over_with_every_acknowledged_write(pair, history):
    primary, standby, settings = pair
    primary.set("synchronous_standby_names", standby.name)
    done = threading.Event()

    def work(number):
        if number == 0:
            fail_over()
        while not done.is_set():
            write(history, alias)

    def fail_over():
        try:
            wait_until(lambda: history.check(()).ok > 50, 60, "there is some work to lose")
            primary.kill()
            standby.promote()
            before = history.check(()).ok
            wait_until(lambda: history.check(()).ok > before + 20, 60, "writes are taken again")
        finally:
            done.set()

    with guarded(settings, breaker=QUICK) as alias:
        django_env.create_tables(alias, Plain)
        standby.catch_up()
        in_threads(5, work)

    verdict = history.check(names(standby, settings))
    assert verdict.holds
    assert verdict.ok > 70


@pytest.mark.scenario(24, databases=("postgres",))
def test_an_asynchronous_standby_may_lack_what_was_acknowledged_and_nothing_else_is_wrong(pair, history):
    primary, standby, settings = pair
    with guarded(settings, breaker=QUICK) as alias:
        django_env.create_tables(alias, Plain)
        assert write(history, alias) is None
        standby.catch_up()
        ((sender,),) = primary.execute("SELECT pid FROM pg_stat_replication")
        primary.suspend(sender)
        assert write(history, alias) is None
        primary.kill()
        standby.promote()
        write(history, alias)  # on the connection that is gone
        wait_until(lambda: write(history, alias) is None, 60, "the new primary takes writes")

    verdict = history.check(names(standby, settings))
    assert len(verdict.lost) == 1
    assert not (verdict.doubled or verdict.revived or verdict.foreign)


@pytest.mark.scenario(24, databases=("postgres",))
def test_a_connection_to_the_demoted_primary_is_dropped_and_the_write_goes_to_the_new_one(pair, history):
    primary, standby, settings = pair
    with guarded(settings) as alias:
        django_env.create_tables(alias, Plain)
        assert write(history, alias) is None
        standby.catch_up()
        primary.set("default_transaction_read_only", "on")
        standby.promote()

        with capture_operations() as operations:
            assert write(history, alias) is None

        assert [operation.retried_for for operation in operations] == [("read_only",)]
        assert breaker(alias).is_closed
    assert history.check(names(standby, settings)).holds


@pytest.mark.scenario(25, databases=("postgres",))
def test_a_primary_that_turns_read_only_refuses_writes_after_every_attempt_and_answers_reads(
    cluster, database, history
):
    with guarded(postgres(database, cluster.port), retry=RetryPolicy(attempts=3, wait=0.01)) as alias:
        django_env.create_tables(alias, Plain)
        assert write(history, alias) is None
        (before,) = cluster.backends(alias)
        cluster.set("default_transaction_read_only", "on")

        with capture_operations() as operations:
            refusal = write(history, alias)

        assert isinstance(refusal, RepositoryUnavailable)
        assert (refusal.kind, refusal.code, refusal.fate) == ("read_only", "25006", "not_applied")
        assert [operation.retried_for for operation in operations] == [("read_only", "read_only")]
        assert Plain.objects.using(alias).count() == 1
        assert before.pid not in [backend.pid for backend in cluster.backends(alias)]

        cluster.set("default_transaction_read_only", None)
        assert write(history, alias) is None
        assert breaker(alias).is_closed
        assert history.check(row.name for row in Plain.objects.list(using=alias)).holds
