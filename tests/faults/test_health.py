"""Probes of databases that are gone, hung, full, crowded or that refuse us: each answers in time and leaves nothing."""

from __future__ import annotations

import threading
import time

import pytest
from django.core.management import call_command
from django.db import connections
from django.test import RequestFactory

from django_enterprise_repo.health import examine, lanes
from django_enterprise_repo.health.answers import answer
from django_enterprise_repo.policies import BreakerPolicy
from django_enterprise_repo.resilience import breakers
from tests.faults import django_env
from tests.faults.clusters import APPLICATION_USER
from tests.faults.history import connections_return
from tests.faults.processes import wait_until

OURS = "django_enterprise_repo.db.backends.postgresql"
TIMEOUT = 1.0
# Beyond the deadline only what the machine needs to get round to a thread; a probe that hangs takes for ever.
SLACK = 4.0


@pytest.fixture(params=[OURS, "django.db.backends.postgresql"], ids=["ours", "django's"])
def engine(request):
    return request.param


@pytest.fixture(autouse=True)
def _new_lanes():
    lanes.forget()
    breakers.reset_breakers()
    yield
    lanes.forget()
    breakers.reset_breakers()
    wait_until(lambda: not probing(), 10, "the threads of the probes have ended")


@pytest.fixture
def probed(databases, cluster, proxy, database, engine):
    """An alias behind the proxy, of which nothing may be left in the end."""
    settings = django_env.postgres(database, proxy.port, engine=engine, application_name="probed")
    with databases({"probed": settings}):
        yield "probed"
        proxy.heal()
        cluster.heal()
        wait_until(lambda: not probing(), 10, "the threads of the probes have ended")
    connections_return(cluster, "probed")


def probing():
    return [thread for thread in threading.enumerate() if thread.name.startswith("repository-health")]


def asked(alias, check="database", timeout=TIMEOUT):
    """Status, kind and code, after the answer has come in time."""
    started = time.monotonic()
    (finding,) = examine([check], databases=[alias], timeout=timeout).findings
    assert time.monotonic() - started < timeout + SLACK
    return finding.status, finding.outcome.output, finding.outcome.code


def asked_again(alias, **options):
    lanes.forget()
    return asked(alias, **options)


def test_a_database_that_answers(probed, cluster):
    (finding,) = examine(["database"], databases=[probed], timeout=20).findings

    assert finding.status == "pass"
    assert finding.as_dict()["inRecovery"] is False
    wait_until(lambda: not cluster.backends("probed"), 5, "the probe's connection is closed")


def test_a_standby_says_that_it_is_one(databases, standby_pair):
    _, standby = standby_pair
    standby.catch_up()
    settings = django_env.postgres("postgres", standby.port, engine=OURS) | {"USER": "postgres"}
    with databases({"standby": settings}):
        (finding,) = examine(["database"], databases=["standby"], timeout=20).findings

    assert finding.as_dict()["inRecovery"] is True


def test_a_database_that_is_stopped(probed, cluster):
    cluster.stop()

    assert asked(probed, timeout=20)[:2] == ("fail", "connection")


def test_a_database_that_hangs_is_asked_by_one_thread_only(probed, cluster):
    cluster.suspend()

    assert asked(probed) == ("fail", "timeout", None)
    assert len(probing()) <= 1
    started = time.monotonic()
    for _ in range(20):
        assert asked(probed) == ("fail", "timeout", None)
    assert time.monotonic() - started < TIMEOUT + SLACK, "whoever comes later is told at once"
    assert len(probing()) <= 1


def test_a_hung_database_is_found_well_when_it_is(probed, cluster):
    cluster.suspend()
    assert asked(probed)[0] == "fail"
    cluster.resume()

    wait_until(lambda: asked(probed, timeout=20)[0] == "pass", 20, "the probe passes again")


def test_a_server_that_takes_connections_and_says_nothing(probed, proxy):
    proxy.deaf(accepts=True)

    assert asked(probed) == ("fail", "timeout", None)


def test_an_answer_that_gets_lost_parks_no_connection(probed, proxy, cluster):
    proxy.cut_at("pg_is_in_recovery", "after")
    assert asked(probed, timeout=20)[:2] == ("fail", "connection")

    wait_until(lambda: not cluster.backends("probed"), 5, "the probe's connection is closed")


# The first keeps a new session from beginning, the second its first query from being answered.
@pytest.mark.parametrize("locked", ["pg_catalog.pg_class", "django_migrations"])
def test_an_answer_that_never_comes_is_waited_for_no_longer_than_the_deadline(probed, cluster, database, locked):
    """Not even by the probe's thread: the socket is cut."""
    cluster.execute(
        "CREATE TABLE django_migrations (id int, app text, name text, applied timestamptz)", database=database
    )
    cluster.execute(f"ALTER TABLE django_migrations OWNER TO {APPLICATION_USER}", database=database)
    with cluster.connect(database) as other:
        other.autocommit = False
        other.execute(f"LOCK TABLE {locked} IN ACCESS EXCLUSIVE MODE")
        assert asked(probed, check="migrations") == ("fail", "timeout", None)
        wait_until(lambda: not probing(), 5, "the thread has given up while the lock is still held")
        other.rollback()


def test_a_password_that_is_refused(databases, cluster, engine):
    rules = cluster.data / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text(f"host all {APPLICATION_USER} 127.0.0.1/32 scram-sha-256\n{before}")
    try:
        cluster.execute("SELECT pg_reload_conf()")
        with cluster.database() as name:
            settings = django_env.postgres(name, cluster.port, engine=engine) | {"PASSWORD": "wrong"}
            with databases({"refused": settings}):
                wait_until(
                    lambda: asked_again("refused", timeout=20)[:2] == ("fail", "authentication"), 10, "it is refused"
                )
                told = str(examine(databases=["refused"], timeout=20).as_dict())
                assert not [secret for secret in ("wrong", name, APPLICATION_USER, str(cluster.port)) if secret in told]
    finally:
        rules.write_text(before)
        cluster.execute("SELECT pg_reload_conf()")


def test_a_database_that_is_not_there(databases, cluster, engine):
    with databases({"nowhere": django_env.postgres("no_such_database", cluster.port, engine=engine)}):
        assert asked("nowhere", timeout=20)[:2] == ("fail", "configuration")


def test_a_full_disk(databases, small_disk_cluster, engine):
    """It lets nobody in where the server cannot write what it keeps for new sessions, and does no harm otherwise."""
    settings = django_env.postgres("postgres", small_disk_cluster.port, engine=engine) | {"USER": "postgres"}
    with databases({"full": settings}):
        small_disk_cluster.disk.fill()
        assert asked("full", timeout=20)[:2] == ("fail", "connection")
        small_disk_cluster.disk.free()
        assert asked_again("full", timeout=20)[0] == "pass"
        small_disk_cluster.disk.fill()
        assert asked_again("full", timeout=20)[0] == "pass"
        wait_until(lambda: not probing(), 10, "the threads of the probes have ended")


def test_a_database_without_a_connection_left(databases, cluster, database, engine):
    cluster.set("max_connections", 8)
    cluster.restart()
    settings = django_env.postgres(database, cluster.port, engine=engine)
    held = []
    with databases({"crowded": settings}):
        try:
            while len(held) < 8:
                held.append(connections["crowded"].copy())
                try:
                    held[-1].ensure_connection()
                except connections["crowded"].Database.Error:
                    break
                except Exception:  # noqa: BLE001  # translated, and the one that is wanted
                    break
            assert asked("crowded", timeout=20) == ("fail", "resources", "53300")
        finally:
            for connection in held:
                connection.close()


def test_the_circuit_breaker_hears_nothing_of_a_probe_and_does_not_stop_it(probed, cluster):
    circuit = breakers.breaker(probed)
    circuit.isolate()
    assert asked(probed, timeout=20)[0] == "pass"
    circuit.release()
    cluster.stop()
    for _ in range(10):
        assert asked_again(probed, timeout=20)[0] == "fail"

    assert circuit.snapshot().fail_counter == 0
    assert asked(probed, check="circuit_breaker")[0] == "pass"


def test_a_circuit_is_tried_by_a_probe_that_is_asked_for_anew(probed, cluster):
    breakers.configure(lambda alias: BreakerPolicy(fail_max=1, reset_timeout=0.1, max_reset_timeout=0.1, jitter=0))
    circuit = breakers.breaker(probed)
    cluster.stop()
    circuit.open()

    for times in (2, 3):
        time.sleep(0.2)
        assert examine(["database"], databases=[probed], timeout=20, anew=True).status == "fail"
        assert (circuit.current_state, circuit.snapshot().opened) == ("open", times)
    cluster.start()
    time.sleep(0.2)
    assert examine(["database"], databases=[probed], timeout=20, anew=True).status == "pass"
    assert circuit.current_state == "closed"


def test_migrations_that_are_missing_and_then_are_not(databases, cluster, database, settings):
    settings.MIGRATION_MODULES = {}  # the tests themselves go without
    with databases({"default": django_env.postgres(database, cluster.port, engine=OURS)}):
        status, kind, _ = asked("default", check="migrations", timeout=60)
        assert (status, kind) == ("fail", "pending")
        call_command("migrate", verbosity=0)
        assert asked_again("default", check="migrations", timeout=60)[0] == "pass"


class Forbidden:
    def __getattr__(self, name):
        raise AssertionError("the user was looked up in a database that hangs")


def test_a_cookie_of_staff_lets_no_request_hang(probed, cluster, settings):
    settings.ENTERPRISE_REPO = {"HEALTH": {"databases": [probed], "timeout": TIMEOUT}}
    request = RequestFactory().get("/health/?check=database")
    request.COOKIES["sessionid"] = "x"
    request.user = Forbidden()
    cluster.suspend()

    response = answer(request, "full")

    assert (response.status_code, response.content) == (503, b'{"status": "fail"}')
    assert answer(RequestFactory().get("/health/live"), "live").status_code == 200


def test_the_command_ends_while_the_database_hangs(probed, cluster, capsys):
    cluster.suspend()

    with pytest.raises(SystemExit) as ended:
        call_command("repository_health", check=["database"], database=[probed], timeout=TIMEOUT)

    assert ended.value.code == 1
    assert "timeout" in capsys.readouterr().out


def test_the_table_of_another_server_is_the_same(databases, mariadb, mariadb_database):
    for engine in ("django_enterprise_repo.db.backends.mysql", "django.db.backends.mysql"):
        lanes.forget()
        with databases({"maria": django_env.mariadb(mariadb_database, mariadb.port, engine=engine)}):
            assert asked("maria", timeout=20)[0] == "pass"
            mariadb.suspend()
            assert asked_again("maria") == ("fail", "timeout", None)
            mariadb.resume()
            wait_until(lambda: not probing(), 10, "the threads of the probes have ended")
            mariadb.stop()
            assert asked_again("maria", timeout=20)[:2] == ("fail", "connection")
        mariadb.heal()
