"""Servers of our own fail as asked, come back, and leave nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from tests.faults.clusters import APPLICATION_USER, PostgresCluster
from tests.faults.processes import Server, ServerFailed, is_alive, wait_until

ROOT = Path(__file__).parents[2]


@pytest.fixture
def table(cluster, database):
    cluster.execute("CREATE TABLE written (id int)", database=database)
    cluster.execute("INSERT INTO written VALUES (1)", database=database)
    return lambda: cluster.execute("SELECT id FROM written", database=database)


@pytest.mark.parametrize("end", [lambda c: c.stop("immediate"), PostgresCluster.stop, PostgresCluster.kill])
def test_a_cluster_that_went_down_comes_back_with_its_rows(cluster, table, end):
    with cluster.connect() as connection:
        end(cluster)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError, match="refused"):
        cluster.connect()

    cluster.start()

    assert table() == [(1,)]


def test_a_smart_stop_waits_for_its_clients(cluster):
    with cluster.connect() as connection:
        cluster.stop("smart", wait=False)
        wait_until(lambda: refused(cluster), 5, "new clients are refused")

        assert connection.execute("SELECT 1").fetchone() == (1,)
        assert cluster.is_running
    cluster.wait_until_stopped()


def test_healing_ends_a_stop_that_waits_for_ever(cluster):
    with cluster.connect() as connection:
        cluster.stop("smart", wait=False)

        cluster.heal()

        assert cluster.execute("SELECT 1") == [(1,)]
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")


def refused(cluster):
    try:
        cluster.connect().close()
    except psycopg.OperationalError as error:
        return "shutting down" in str(error)
    return False


def test_healing_a_cluster(cluster):
    cluster.set("work_mem", "1MB")
    assert cluster.execute("SHOW work_mem") == [("1MB",)]
    cluster.set("max_connections", 20)
    cluster.restart()
    assert cluster.execute("SHOW max_connections") == [("20",)]
    cluster.suspend()
    cluster.kill()

    cluster.heal()

    assert cluster.execute("SELECT current_setting('work_mem'), current_setting('max_connections')") == [("4MB", "100")]


def test_a_killed_backend_takes_all_others_along(cluster):
    with cluster.connect(application_name="one") as one, cluster.connect(application_name="two") as two:
        (backend,) = cluster.backends("one")
        cluster.kill(backend.pid)
        for connection in (one, two):
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
    cluster.heal()
    assert cluster.execute("SELECT 1") == [(1,)]


def test_a_suspended_backend_hangs_its_query_and_no_other(cluster):
    with cluster.connect(application_name="frozen") as connection, ThreadPoolExecutor(1) as pool:
        (backend,) = cluster.backends("frozen")
        cluster.suspend(backend.pid)
        query = pool.submit(connection.execute, "SELECT 1")
        with pytest.raises(TimeoutError):
            query.result(timeout=0.5)
        assert cluster.execute("SELECT 2") == [(2,)]

        cluster.resume(backend.pid)

        assert query.result(timeout=5).fetchone() == (1,)


def test_a_suspended_postmaster_takes_no_new_clients_and_lets_the_others_work(cluster):
    with cluster.connect() as connection:
        cluster.suspend()

        with pytest.raises(psycopg.errors.ConnectionTimeout):
            cluster.connect(connect_timeout=2)
        assert connection.execute("SELECT 1").fetchone() == (1,)
        cluster.resume()
        assert cluster.execute("SELECT 2") == [(2,)]


def test_processes_of_others_are_left_alone(cluster):
    for act in (cluster.kill, cluster.suspend, cluster.resume):
        with pytest.raises(AssertionError, match="none of this server's"):
            act(os.getpid())


def test_running_out_of_connections_leaves_some_to_the_test_itself(cluster, database):
    cluster.set("max_connections", 5)
    cluster.restart()

    with ExitStack() as taken:
        for _ in range(2):
            taken.enter_context(cluster.connect(database, user=APPLICATION_USER, application_name="greedy"))

        with pytest.raises(psycopg.OperationalError, match="reserved"):
            cluster.connect(database, user=APPLICATION_USER)
        assert len(cluster.backends("greedy")) == 2


def test_a_promoted_standby_takes_writes_and_has_the_rows(standby_pair):
    primary, standby = standby_pair
    primary.execute("CREATE TABLE written (id int)")
    primary.execute("INSERT INTO written VALUES (1)")
    standby.catch_up()
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        standby.execute("INSERT INTO written VALUES (2)")
    primary.kill()

    standby.promote()

    standby.execute("INSERT INTO written VALUES (2)")
    assert standby.execute("SELECT id FROM written ORDER BY id") == [(1,), (2,)]


def test_a_synchronous_standby_is_known_by_its_name(standby_pair):
    primary, standby = standby_pair
    primary.set("synchronous_standby_names", standby.name)

    wait_until(
        lambda: (
            primary.execute("SELECT application_name, sync_state FROM pg_stat_replication") == [("standby", "sync")]
        ),
        5,
        "the standby is synchronous",
    )


def test_a_standby_that_is_not_hot_is_starting_up_for_as_long_as_one_likes(standby_pair):
    _, standby = standby_pair
    standby.set("hot_standby", "off")
    standby.stop()
    standby.start()

    with pytest.raises(psycopg.OperationalError, match="not accepting connections"):
        standby.connect()


def test_a_full_disk_refuses_writes_until_there_is_room(small_disk_cluster):
    cluster = small_disk_cluster
    write = "INSERT INTO written SELECT repeat('x', 1000) FROM generate_series(1, 1000)"
    cluster.execute("CREATE TABLE written (text text)")
    cluster.execute(write)
    cluster.disk.fill()

    with pytest.raises(psycopg.errors.DiskFull) as caught:
        cluster.execute(write)

    assert caught.value.sqlstate == "53100"
    assert cluster.execute("SELECT count(*) FROM written") == [(1000,)]
    cluster.disk.free()
    cluster.execute(write)
    assert cluster.execute("SELECT count(*) FROM written") == [(2000,)]


def test_a_disk_goes_with_its_cluster(small_disk_cluster):
    cluster = small_disk_cluster
    assert os.path.ismount(cluster.disk.path)
    cluster.disk.fill()
    cluster.kill()

    cluster.close()

    assert str(cluster.folder) not in Path("/proc/mounts").read_text()
    assert not cluster.folder.exists()


def test_a_pooler_pools_transactions_and_restarts(pgbouncer, database):
    with pgbouncer.connect(database) as one, pgbouncer.connect(database) as two:
        pids = {connection.execute("SELECT pg_backend_pid()").fetchone() for connection in (one, two)}
        assert len(pids) == 1
        pgbouncer.restart()
        with pytest.raises(psycopg.OperationalError):
            one.execute("SELECT 1")
    with pgbouncer.connect(database) as again:
        assert again.execute("SELECT 1").fetchone() == (1,)
    assert database in [row[0] for row in pgbouncer.admin("SHOW POOLS")]


@pytest.mark.parametrize("end", [Server.stop, Server.kill])
def test_a_mariadb_that_went_down_comes_back_with_its_rows(mariadb, mariadb_database, end):
    import MySQLdb

    mariadb.execute("CREATE TABLE written (id int)", database=mariadb_database)
    mariadb.execute("INSERT INTO written VALUES (1)", database=mariadb_database)
    end(mariadb)
    with pytest.raises(MySQLdb.OperationalError) as caught:
        mariadb.connect()
    assert caught.value.args[0] in (2002, 2003), "the client libraries of MariaDB and MySQL differ"

    mariadb.heal()

    assert mariadb.execute("SELECT id FROM written", database=mariadb_database) == [(1,)]


def test_firewall_loses_packets_and_lets_them_through(cluster, firewall):
    with cluster.connect() as connection, ThreadPoolExecutor(1) as pool:
        firewall.drop()
        query = pool.submit(connection.execute, "SELECT 1")
        with pytest.raises(TimeoutError):
            query.result(timeout=0.5)
        with pytest.raises(psycopg.errors.ConnectionTimeout):
            cluster.connect(connect_timeout=2)

        firewall.heal()

        assert query.result(timeout=20).fetchone() == (1,), "TCP sends it again"


def test_firewall_rejects(cluster, firewall):
    with cluster.connect() as connection:
        firewall.reject()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError, match="refused"):
        cluster.connect()
    firewall.heal()
    assert cluster.execute("SELECT 1") == [(1,)]


def test_what_does_not_start_says_why_and_leaves_nothing():
    broken = PostgresCluster({"shared_buffers": "nonsense"})

    with pytest.raises(ServerFailed, match="nonsense"), broken:
        pytest.fail("It has started.")

    assert not broken.folder.exists()


def test_no_process_outlives_tests_that_end_badly(tmp_path):
    script = """
import os, sys
from tests.faults.clusters import PostgresCluster
cluster = PostgresCluster()
cluster.start()
if os.fork() == 0:
    sys.exit()  # what a forked child does at its end must not touch the parent's servers
os.wait()
cluster.execute("SELECT 1")
print(cluster.pid, cluster.folder, flush=True)
raise RuntimeError("the test fails")
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], cwd=ROOT, capture_output=True, text=True)

    pid, folder = done.stdout.split()
    assert "the test fails" in done.stderr
    assert not is_alive(int(pid))
    assert not Path(folder).exists()
