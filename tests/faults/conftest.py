"""Real components to break, each test's own or healed after each test.

What can't be used here is said by a skip, and with ``REPO_REQUIRE_SERVICES=1`` by a failure.
"""

from __future__ import annotations

import gc
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pytest_django.plugin import DjangoDbBlocker

from tests.faults import django_env
from tests.faults.clusters import PostgresCluster, Standby, programs
from tests.faults.disks import why_no_disks
from tests.faults.firewall import Firewall, why_no_firewall
from tests.faults.guarded import ALIAS, GuardedDatabase
from tests.faults.history import History, connections_return, no_stuck_threads
from tests.faults.pgbouncer import PgBouncer
from tests.faults.processes import wait_until
from tests.faults.proxy import FaultProxy
from tests.faults.redis_server import RedisServer
from tests.needs import need, need_program

if TYPE_CHECKING:  # its driver may be missing
    from tests.faults.mariadb import MariaDBServer

Databases = Callable[[Mapping[str, Mapping[str, Any]]], AbstractContextManager[None]]
HERE = Path(__file__).parent
DISK_SIZE = 64 * 2**20  # bytes; a new cluster takes 23 MB of them


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.faults)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A scenario names the ``databases`` it applies to; without a word that is PostgreSQL."""
    if "guarded" in metafunc.fixturenames:
        scenario = metafunc.definition.get_closest_marker("scenario")
        names = scenario.kwargs.get("databases", ["postgres"]) if scenario else ["postgres"]
        metafunc.parametrize("guarded", names, indirect=True)


def need_postgres() -> None:
    need(None if programs() else "PostgreSQL is not installed (apt-get install postgresql)")


@pytest.fixture(scope="session", autouse=True)
def _ended_as_by_the_keyboard() -> Iterator[None]:
    """``timeout`` and CI end the tests by SIGTERM, which would leave the servers behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def _cluster() -> Iterator[PostgresCluster]:
    need_postgres()
    with PostgresCluster() as cluster:
        yield cluster


@pytest.fixture
def cluster(_cluster: PostgresCluster) -> Iterator[PostgresCluster]:
    """A running cluster; whatever a test does to it is healed after the test."""
    yield _cluster
    _cluster.heal()


@pytest.fixture
def database(cluster: PostgresCluster) -> Iterator[str]:
    """The name of a new database of ``cluster``."""
    with cluster.database() as name:
        yield name


@pytest.fixture
def proxy(cluster: PostgresCluster) -> Iterator[FaultProxy]:
    """A proxy in front of ``cluster``."""
    with FaultProxy(cluster.port, protocol="postgresql") as proxy:
        yield proxy


@pytest.fixture
def standby_pair() -> Iterator[tuple[PostgresCluster, Standby]]:
    """A primary of the test's own, and a standby that follows it."""
    need_postgres()
    with PostgresCluster() as primary, primary.standby() as standby:
        yield primary, standby


@pytest.fixture
def small_disk_cluster() -> Iterator[PostgresCluster]:
    """A cluster of the test's own whose tables lie on a ``disk`` that can be filled."""
    need_postgres()
    need(why_no_disks())
    with PostgresCluster(disk_size=DISK_SIZE) as cluster:
        yield cluster


@pytest.fixture
def pgbouncer(cluster: PostgresCluster) -> Iterator[PgBouncer]:
    """A pooler in front of ``cluster``."""
    need_program("pgbouncer", "pgbouncer")
    with PgBouncer(cluster.port) as pooler:
        yield pooler


@pytest.fixture(scope="session")
def _mariadb() -> Iterator[MariaDBServer]:
    need(None if find_spec("MySQLdb") else "the Python package MySQLdb is not installed (mysqlclient)")
    need_program("mariadbd", "mariadb-server")
    from tests.faults.mariadb import MariaDBServer

    with MariaDBServer() as server:
        yield server


@pytest.fixture
def mariadb(_mariadb: MariaDBServer) -> Iterator[MariaDBServer]:
    """A running server; whatever a test does to it is healed after the test."""
    yield _mariadb
    _mariadb.heal()


@pytest.fixture
def mariadb_database(mariadb: MariaDBServer) -> Iterator[str]:
    """The name of a new database of ``mariadb``."""
    with mariadb.database() as name:
        yield name


@pytest.fixture
def mariadb_proxy(mariadb: MariaDBServer) -> Iterator[FaultProxy]:
    """A proxy in front of ``mariadb``."""
    with FaultProxy(mariadb.port, protocol="mysql") as proxy:
        yield proxy


@pytest.fixture(scope="session")
def _redis() -> Iterator[RedisServer]:
    need_program("redis-server", "redis-server")
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis(_redis: RedisServer) -> Iterator[RedisServer]:
    """A running Redis; whatever a test does to it is healed after the test."""
    yield _redis
    _redis.heal()


@pytest.fixture
def locked_redis() -> Iterator[RedisServer]:
    """A Redis of the test's own that wants a password."""
    need_program("redis-server", "redis-server")
    with RedisServer(password="right") as server:
        yield server


@pytest.fixture
def firewall(cluster: PostgresCluster) -> Iterator[Firewall]:
    """Rules for the port of ``cluster``."""
    need(why_no_firewall())
    with Firewall(cluster.port) as firewall:
        yield firewall


@pytest.fixture
def history(tmp_path: Path) -> History:
    """An empty history."""
    return History(tmp_path / "history")


@pytest.fixture
def databases(django_db_blocker: DjangoDbBlocker) -> Iterator[Databases]:
    """``django_env.databases``, with pytest-django's guard off; the configured databases are not for these tests."""
    with django_db_blocker.unblock():
        yield django_env.databases


@pytest.fixture
def faulty(databases: Databases, cluster: PostgresCluster, proxy: FaultProxy, database: str) -> Iterator[str]:
    """An alias for ``database`` behind ``proxy``, by Django's own engine; no connection may be left in the end."""
    with databases({"faulty": django_env.postgres(database, proxy.port, application_name="faulty")}):
        yield "faulty"
    cluster.heal()
    connections_return(cluster, "faulty")


@pytest.fixture
def guarded(request: pytest.FixtureRequest, databases: Databases, settings: Any) -> Iterator[GuardedDatabase]:
    """A database behind a proxy, through the engine of the package. Neither threads nor sessions may be left."""
    names = {
        "postgres": ("cluster", "proxy", "database"),
        "mariadb": ("mariadb", "mariadb_proxy", "mariadb_database"),
    }[request.param]
    guarded = GuardedDatabase(request.param, *map(request.getfixturevalue, names), settings)
    guarded.forget()
    with no_stuck_threads(within=30), databases({ALIAS: guarded.settings}):
        guarded.create_tables()
        yield guarded
    guarded.forget()
    guarded.proxy.heal()
    guarded.server.heal()
    gc.collect()  # psycopg leaves the socket of a connect that timed out to whoever holds the exception
    wait_until(lambda: not guarded.sessions(), 30, "all sessions are over")
