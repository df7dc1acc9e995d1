"""Each fault of the proxy is what plain drivers feel."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import socketserver
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.faults.processes import LOOPBACK, wait_until
from tests.faults.proxy import COMMIT, FaultProxy


@pytest.fixture
def table(cluster, database):
    cluster.execute("CREATE TABLE written (id int)", database=database)
    return lambda: [row for (row,) in cluster.execute("SELECT id FROM written", database=database)]


@pytest.fixture
def connect(proxy, database):
    """Connections through the proxy, closed in the end."""
    made = []

    def connect(**options):
        options = {"autocommit": True, "connect_timeout": 2, "sslmode": "disable", **options}
        made.append(psycopg.connect(host=LOOPBACK, port=proxy.port, user="postgres", dbname=database, **options))
        return made[-1]

    yield connect
    for connection in made:
        connection.close()


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        with contextlib.suppress(ConnectionError):  # being cut off is what it is for
            while data := self.request.recv(65536):
                self.request.sendall(data)


@pytest.fixture
def echo():
    """The port of a server that sends back what it gets."""
    with socketserver.ThreadingTCPServer((LOOPBACK, 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def reach(proxy):
    return socket.create_connection((LOOPBACK, proxy.port), timeout=5)


def test_it_forwards_and_counts(echo):
    with FaultProxy(echo) as proxy, reach(proxy) as client:
        client.sendall(b"hello")
        assert client.recv(100) == b"hello"

        assert (proxy.accepted, proxy.live) == (1, 1)
        assert proxy.forwarded == {"upstream": 5, "downstream": 5}
        client.close()
        wait_until(lambda: proxy.live == 0, 5, "the connection is over")


def test_a_half_closed_connection_still_answers(echo):
    with FaultProxy(echo) as proxy, reach(proxy) as client:
        client.sendall(b"last words")
        client.shutdown(socket.SHUT_WR)

        assert client.recv(100) == b"last words"
        assert client.recv(100) == b""


def test_nothing_of_it_remains(echo):
    before, threads = sockets(), threading.enumerate()

    with FaultProxy(echo) as proxy, reach(proxy) as living, reach(proxy) as swallowed, reach(proxy):
        living.sendall(b"x")
        assert living.recv(1) == b"x"
        proxy.blackhole()
        swallowed.sendall(b"y")
        proxy.deaf(accepts=True)
        with reach(proxy):
            proxy.refuse()

    wait_until(lambda: threading.enumerate() == threads, 5, "all threads have ended")
    wait_until(lambda: sockets() <= before, 5, "all sockets are closed")


def sockets():
    """The sockets that this process has open, by names that are never used again."""
    names = set()
    for descriptor in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the one that listed them
            names.add(os.readlink(f"/proc/self/fd/{descriptor}"))
    return {name for name in names if name.startswith("socket:")}


def test_latency(echo):
    with FaultProxy(echo) as proxy, reach(proxy) as client:
        proxy.latency(0.1, jitter=0.02)
        started = time.monotonic()
        client.sendall(b"x")
        client.recv(1)

        assert time.monotonic() - started >= 0.16, "twice 100 ± 20 ms"


@pytest.mark.parametrize("accepts", [False, True])
def test_deaf(proxy, connect, accepts):
    living = connect()
    accepted = proxy.accepted

    proxy.deaf(accepts=accepts)

    with pytest.raises(psycopg.errors.ConnectionTimeout):
        connect()
    assert proxy.accepted == accepted + accepts
    assert living.execute("SELECT 1").fetchone() == (1,)
    proxy.heal()
    assert connect().execute("SELECT 2").fetchone() == (2,)


def test_refuse(proxy, connect):
    living = connect()

    proxy.refuse()

    with pytest.raises(psycopg.OperationalError, match="refused"):
        connect()
    assert living.execute("SELECT 1").fetchone() == (1,)
    proxy.heal()
    assert connect().execute("SELECT 2").fetchone() == (2,)


def test_reset(echo):
    with FaultProxy(echo) as proxy, reach(proxy) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"

        proxy.reset()

        assert proxy.live == 0
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        with reach(proxy) as another:
            another.sendall(b"y")
            assert another.recv(1) == b"y"


def test_a_server_that_is_down_is_a_reset():
    with FaultProxy(1) as proxy, pytest.raises(ConnectionResetError), reach(proxy) as client:
        client.recv(1)


@pytest.mark.parametrize("direction", ["upstream", "downstream", "both"])
def test_a_black_hole_in_the_middle_of_a_statement(proxy, connect, table, direction):
    connection = connect()
    with ThreadPoolExecutor(1) as pool:
        proxy.blackhole(direction)
        query = pool.submit(connection.execute, "INSERT INTO written VALUES (1) RETURNING pg_sleep(0)")
        if direction == "downstream":
            wait_until(lambda: table() == [1], 5, "the server has worked")
        with pytest.raises(TimeoutError):
            query.result(timeout=0.5)
        assert proxy.live == 1

        proxy.heal()

        with pytest.raises(psycopg.OperationalError):  # bytes are missing, so this connection can't go on
            query.result(timeout=5)
    assert table() == ([1] if direction == "downstream" else [])
    assert connect().execute("SELECT 2").fetchone() == (2,)


def test_a_black_hole_hides_that_the_client_closes(cluster, proxy, connect):
    connection = connect(application_name="buried")
    proxy.blackhole()

    connection.close()

    assert len(cluster.backends("buried")) == 1
    proxy.heal()
    wait_until(lambda: not cluster.backends("buried"), 5, "the server knows")


def test_a_black_hole_leaves_alone_who_sends_nothing(proxy, connect):
    connection = connect()

    proxy.blackhole()
    proxy.heal()

    assert connection.execute("SELECT 1").fetchone() == (1,)


def test_half_open(cluster, proxy, connect):
    connection = connect(application_name="ghost")

    proxy.half_open()

    wait_until(lambda: not cluster.backends("ghost"), 5, "the server has given up the client")
    with ThreadPoolExecutor(1) as pool:
        query = pool.submit(connection.execute, "SELECT 1")
        with pytest.raises(TimeoutError):
            query.result(timeout=0.5)
        assert connect().execute("SELECT 2").fetchone() == (2,), "only those that lived then"
        proxy.heal()
        with pytest.raises(psycopg.OperationalError):
            query.result(timeout=5)


@pytest.mark.parametrize("limit", [1, 1000, 70_000])
def test_cut_after_so_many_bytes(echo, limit):
    with FaultProxy(echo) as proxy:
        proxy.cut_after(limit, "downstream")
        with reach(proxy) as client:
            sender = threading.Thread(target=client.sendall, args=(b"x" * limit + b"y",))
            sender.start()
            received = b"".join(iter(lambda: client.recv(65536), b""))
            sender.join(5)

        assert received == b"x" * limit
        assert proxy.cuts == 1
        with reach(proxy) as another:
            another.sendall(b"z")
            assert another.recv(1) == b"z", "once, unless more is asked for"


def test_cut_in_the_middle_of_a_result(proxy, connect):
    connection = connect()
    proxy.cut_after(500_000, "downstream")

    with pytest.raises(psycopg.OperationalError):
        for _ in connection.cursor().stream("SELECT repeat('x', 1000) FROM generate_series(1, 1000)"):
            pass

    assert proxy.cuts == 1


@pytest.mark.parametrize(
    ("moment", "written"), [pytest.param("before", [], id="before"), pytest.param("after", [1], id="after")]
)
@pytest.mark.parametrize("how", ["simple", "extended", "one string", "pipeline"])
def test_a_commit_whose_answer_is_lost(proxy, connect, table, moment, written, how):
    connection = connect(autocommit=False)
    with pytest.raises(psycopg.OperationalError):
        perform(connection, how, lambda: proxy.cut_at_commit(moment))

    assert proxy.cuts == 1
    wait_until(lambda: proxy.live == 0, 5, "the connection is over")
    assert table() == written
    again = connect(autocommit=False)
    again.execute("INSERT INTO written VALUES (2)")
    again.commit()
    assert table() == [*written, 2], "once, unless more is asked for"


def perform(connection, how, arm):
    if how == "one string":
        arm()
        connection.autocommit = True
        connection.execute("BEGIN; INSERT INTO written VALUES (1); COMMIT; SELECT 1")
        return
    if how == "pipeline":
        with connection.pipeline():
            arm()
            connection.execute("INSERT INTO written VALUES (1)")
            connection.commit()
        return
    connection.execute("INSERT INTO written VALUES (1)")
    arm()
    if how == "simple":
        connection.commit()
    else:
        connection.execute("COMMIT", prepare=True, binary=True)


def test_the_answer_to_a_statement_in_autocommit_is_lost(proxy, connect, table):
    connection = connect()
    proxy.cut_at(r"(?i)^insert", "after")

    with pytest.raises(psycopg.OperationalError):
        connection.execute("INSERT INTO written VALUES (%s)", [1])

    assert table() == [1]


def test_cuts_as_often_as_asked(proxy, connect, table):
    proxy.cut_at(r"(?i)^insert", "before", times=2)

    for _ in range(2):
        with pytest.raises(psycopg.OperationalError):
            connect().execute("INSERT INTO written VALUES (1)")
    connect().execute("INSERT INTO written VALUES (2)")

    assert proxy.cuts == 2
    assert table() == [2]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_commit_to_mariadb_whose_answer_is_lost(mariadb, mariadb_database, mariadb_proxy, moment):
    import MySQLdb

    mariadb.execute("CREATE TABLE written (id int)", database=mariadb_database)
    options = {"host": LOOPBACK, "user": "root", "database": mariadb_database, "connect_timeout": 5}
    connection = MySQLdb.connect(port=mariadb_proxy.port, autocommit=False, **options)
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO written VALUES (1)")
    mariadb_proxy.cut_at_commit(moment)

    with pytest.raises(MySQLdb.OperationalError) as caught:
        connection.commit()

    connection.close()
    assert caught.value.args[0] == 2013
    assert mariadb_proxy.cuts == 1
    assert mariadb.execute("SELECT id FROM written", database=mariadb_database) == ([(1,)] if moment == "after" else [])


@pytest.mark.parametrize(
    "sql", ["COMMIT", "commit", " COMMIT;", "/* id=1 */ COMMIT", "select 1; commit", "COMMIT AND CHAIN"]
)
def test_what_a_commit_looks_like(sql):
    assert re.search(COMMIT, sql)


@pytest.mark.parametrize("sql", ["SELECT 'COMMIT'", "INSERT INTO commits VALUES (1)", "committed", "ROLLBACK"])
def test_what_no_commit_looks_like(sql):
    assert not re.search(COMMIT, sql)
