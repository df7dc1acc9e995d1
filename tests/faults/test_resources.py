"""Scenarios 18, 19, 23 and 34: what the server or the pool has no more of, and doors that are locked for good."""

from __future__ import annotations

import threading

import pytest
from django.db import connections, transaction
from psycopg import sql

from django_enterprise_repo.exceptions import RepositoryUnavailable
from django_enterprise_repo.policies import BreakerPolicy, RetryPolicy
from django_enterprise_repo.resilience.breakers import breaker
from django_enterprise_repo.testing.operations import capture_operations
from tests.faults import django_env
from tests.faults.clusters import APPLICATION_USER, PostgresCluster
from tests.faults.conftest import need_postgres
from tests.faults.history import connections_return
from tests.faults.processes import wait_until
from tests.faults.setups import guarded, in_threads, postgres, write
from tests.testapp.models import Plain

pytestmark = pytest.mark.usefixtures("databases")
CONNECTIONS = 10  # of which PostgreSQL keeps three for its superuser
NEVER_OPENS = BreakerPolicy(fail_max=10_000, minimum_calls=10_000)


@pytest.fixture
def narrow():
    """The settings of a database that has seven connections to give, and its cluster."""
    need_postgres()
    with (
        PostgresCluster({"max_connections": str(CONNECTIONS), "max_wal_senders": "0"}) as cluster,
        cluster.database() as name,
    ):
        yield postgres(name, cluster.port), cluster


@pytest.mark.scenario(18, databases=("postgres",))
def test_thirty_threads_share_seven_connections_and_every_write_is_told_rightly(narrow, history):
    settings, cluster = narrow
    patient = RetryPolicy(attempts=60, wait=0.05, max_wait=0.5)
    errors = []

    def work(number):
        errors.append(write(history, alias))

    with guarded(settings, breaker=NEVER_OPENS, retry=patient) as alias:
        django_env.create_tables(alias, Plain)
        with capture_operations() as operations:
            in_threads(30, work)
        names = cluster.execute("SELECT name FROM testapp_plain", database=settings["NAME"])
        connections_return(cluster, alias, to=1)  # this thread's own

    verdict = history.check(name for (name,) in names)
    assert verdict.holds
    assert verdict.unknown == 0  # who was never let in has written nothing, and knows it
    assert {(error.kind, error.code) for error in errors if error} <= {("resources", "53300")}
    assert any("resources" in operation.retried_for for operation in operations)
    # No stampede: beyond the calls themselves there is one retry a second, and the twenty saved up.
    assert sum(operation.attempts - 1 for operation in operations) < 30 + 20 + 60


@pytest.mark.scenario(18, databases=("postgres",))
def test_who_has_a_connection_keeps_working_while_others_are_refused(narrow):
    settings, cluster = narrow
    once = RetryPolicy(attempts=1)
    with guarded(settings, breaker=BreakerPolicy(fail_max=3, reset_timeout=0.1), retry=once) as alias:
        django_env.create_tables(alias, Plain)
        refusals = []

        def read(number):
            try:
                Plain.objects.using(alias).count()
            except RepositoryUnavailable as error:
                refusals.append(error.kind)

        taken = [cluster.connect(settings["NAME"], user=APPLICATION_USER) for _ in range(6)]
        try:
            with transaction.atomic(using=alias):
                Plain.objects.add(Plain(name="first"), using=alias)
                in_threads(8, read)
                assert breaker(alias).current_state == "open"
                Plain.objects.add(Plain(name="second"), using=alias)  # a transaction is never turned away
        finally:
            for connection in taken:
                connection.close()

        assert len(refusals) == 8
        assert 3 <= refusals.count("resources") == 8 - refusals.count("circuit_open")
        wait_until(lambda: breaker(alias).retry_after == 0, 30, "the next call is a probe")
        assert sorted(row.name for row in Plain.objects.list(using=alias)) == ["first", "second"]
        assert breaker(alias).current_state == "closed"


@pytest.mark.scenario(19, databases=("postgres",))
def test_an_exhausted_pool_is_our_own_business_and_not_the_databases(cluster, database):
    settings = postgres(database, cluster.port, pool={"min_size": 1, "max_size": 2, "timeout": 0.2})
    busy, release = threading.Barrier(3), threading.Event()
    refused = []

    def work(number):
        if number < 2:
            with transaction.atomic(using=alias):
                Plain.objects.using(alias).count()
                busy.wait(30)
                release.wait(30)
            return
        busy.wait(30)
        try:
            Plain.objects.using(alias).count()
        except RepositoryUnavailable as error:
            refused.append(error)
        finally:
            release.set()

    with guarded(settings, breaker=BreakerPolicy(fail_max=1)) as alias:
        django_env.create_tables(alias, Plain)
        connections[alias].close()
        with capture_operations() as operations:
            in_threads(3, work)

        assert [(error.kind, error.retryable, error.fate) for error in refused] == [("pool", True, "not_applied")]
        assert ("pool", "pool") in [operation.retried_for for operation in operations]
        assert breaker(alias).is_closed
        assert breaker(alias).snapshot().window.failures == 0
        assert Plain.objects.using(alias).count() == 0


@pytest.mark.scenario(23, databases=("postgres",))
def test_a_full_disk_refuses_writes_and_nothing_else(small_disk_cluster, history):
    cluster = small_disk_cluster
    with cluster.database() as name, guarded(postgres(name, cluster.port), breaker=BreakerPolicy(fail_max=1)) as alias:
        django_env.create_tables(alias, Plain)
        assert write(history, alias) is None
        cluster.disk.fill()

        refusal = None
        for _ in range(500):  # until the pages that are there already are full
            refusal = write(history, alias)
            if refusal:
                break

        assert refusal
        assert (refusal.kind, refusal.code) == ("storage", "53100")
        assert (refusal.retryable, refusal.fate) == (False, "not_applied")
        assert breaker(alias).is_closed
        there = history.check(row.name for row in Plain.objects.list(using=alias))
        assert there.holds
        assert there.failed == 1

        cluster.disk.free()
        assert write(history, alias) is None
        assert history.check(row.name for row in Plain.objects.list(using=alias)).holds


@pytest.fixture
def leaver(cluster, database):
    """A user of its own that may lose its rights, known by its password."""
    access = cluster.data / "pg_hba.conf"
    before = access.read_text()
    name = sql.Identifier("leaver")
    cluster.execute(sql.SQL("CREATE ROLE {} LOGIN SUPERUSER PASSWORD 'old'").format(name))
    access.write_text(f"host all leaver 127.0.0.1/32 scram-sha-256\n{before}")
    cluster.set("log_connections", "on")  # waits for the reload
    yield "leaver"
    access.write_text(before)
    cluster.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(name), database=database)
    cluster.execute(sql.SQL("DROP ROLE {}").format(name))


@pytest.mark.scenario(34, databases=("postgres",))
@pytest.mark.parametrize(
    ("change", "code"),
    [("ALTER ROLE leaver PASSWORD 'new'", "28P01"), ("ALTER ROLE leaver NOLOGIN", "28000")],
)
def test_who_is_not_let_in_any_more_is_told_so_once(cluster, database, leaver, change, code):
    settings = {**postgres(database, cluster.port), "USER": leaver, "PASSWORD": "old"}
    with guarded(settings) as alias:
        django_env.create_tables(alias, Plain)
        connections[alias].close()
        cluster.execute(change)

        with capture_operations() as operations, pytest.raises(RepositoryUnavailable) as refusal:
            Plain.objects.using(alias).count()

        assert (refusal.value.kind, refusal.value.code, refusal.value.retryable) == ("authentication", code, False)
        assert [operation.attempts for operation in operations] == [1]
        assert breaker(alias).fail_counter == 1


@pytest.mark.scenario(34, databases=("postgres",))
def test_a_database_that_was_dropped_is_told_so_once(cluster, database):
    with guarded(postgres(database, cluster.port)) as alias:
        django_env.create_tables(alias, Plain)
        connections[alias].close()
        cluster.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database)))

        with capture_operations() as operations, pytest.raises(RepositoryUnavailable) as refusal:
            Plain.objects.add(Plain(name="nowhere"), using=alias)

        assert (refusal.value.kind, refusal.value.code) == ("configuration", "3D000")
        assert (refusal.value.retryable, refusal.value.fate) == (False, "not_applied")
        assert [operation.attempts for operation in operations] == [1]
