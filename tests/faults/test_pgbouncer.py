"""Scenario 32: a pooler between, which gives each transaction whichever server connection is free."""

from __future__ import annotations

import gc
import threading

import pytest

from django_enterprise_repo.exceptions import RepositoryUnavailable
from django_enterprise_repo.policies import BreakerPolicy
from django_enterprise_repo.resilience.breakers import breaker
from django_enterprise_repo.testing.operations import capture_operations
from tests.faults import django_env
from tests.faults.clusters import APPLICATION_USER
from tests.faults.processes import wait_until
from tests.faults.setups import guarded, in_threads, postgres, write
from tests.testapp.models import Plain

pytestmark = [pytest.mark.usefixtures("databases"), pytest.mark.scenario(32, databases=("postgres",))]


def test_a_restart_of_the_pooler_costs_a_read_one_retry(pgbouncer, database):
    with guarded(postgres(database, pgbouncer.port)) as alias:
        django_env.create_tables(alias, Plain)
        Plain.objects.add(Plain(name="there"), using=alias)
        pgbouncer.restart()

        with capture_operations() as operations:
            assert [row.name for row in Plain.objects.list(using=alias)] == ["there"]

        assert [operation.retried_for for operation in operations] == [("connection",)]
        assert breaker(alias).is_closed


@pytest.mark.parametrize("end", ["restart", "kill"])
def test_writes_through_a_pooler_that_comes_and_goes_are_told_rightly(pgbouncer, cluster, database, history, end):
    def work(number):
        if number == 0:
            come_and_go()
        while not done.is_set():
            write(history, alias)

    def come_and_go():
        try:
            for _ in range(3):
                goal = history.check(()).ok + 20
                wait_until(lambda: history.check(()).ok > goal, 60, "writes are taken")  # noqa: B023
                getattr(pgbouncer, end)()
                pgbouncer.heal()
        finally:
            done.set()

    done = threading.Event()
    quick = BreakerPolicy(fail_max=5, reset_timeout=0.2, max_reset_timeout=0.5)
    with guarded(postgres(database, pgbouncer.port), breaker=quick) as alias:
        django_env.create_tables(alias, Plain)
        in_threads(4, work)
        wait_until(lambda: write(history, alias) is None, 30, "the pooler takes writes again")

    assert history.check(n for (n,) in cluster.execute("SELECT name FROM testapp_plain", database=database)).holds


def read_while_another_client_takes_the_servers_connection(alias, pgbouncer, database):
    """Read ten rows in chunks of two, the later ones by another server connection than the first."""
    rows = Plain.objects.stream(chunk_size=2, using=alias)
    names = [next(rows).name, next(rows).name]
    with pgbouncer.connect(database, user=APPLICATION_USER) as other, other.transaction():
        other.execute("SELECT 1")  # gets the connection that was given back last: the one with the cursor
        names += [row.name for row in rows]
    return names


@pytest.fixture
def ten(pgbouncer, cluster, database):
    """The settings of a database with ten rows, behind the pooler."""
    settings = postgres(database, pgbouncer.port)
    with guarded(settings) as alias:
        django_env.create_tables(alias, Plain)
        Plain.objects.add_all([Plain(name=str(number)) for number in range(10)], using=alias)
    return settings


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # psycopg: it could not be closed
def test_a_cursor_of_the_server_is_lost_between_transactions_and_the_stream_says_so(ten, pgbouncer, database):
    with guarded(ten) as alias, pytest.raises(RepositoryUnavailable) as lost:
        read_while_another_client_takes_the_servers_connection(alias, pgbouncer, database)

    assert (lost.value.kind, lost.value.code, lost.value.fate) == ("session_lost", "34000", "not_applied")
    del lost
    gc.collect()  # the warning comes here, and to no other test


def test_without_cursors_of_the_server_a_stream_comes_whole(ten, pgbouncer, database):
    with guarded({**ten, "DISABLE_SERVER_SIDE_CURSORS": True}) as alias:
        names = read_while_another_client_takes_the_servers_connection(alias, pgbouncer, database)

    assert names == [str(number) for number in range(10)]
