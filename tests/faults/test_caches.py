"""Caches that stop, hang, forget, are full or let nobody in: reads are right, and cost one timeout."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from django.core.cache import caches
from django.db import connection

from django_enterprise_repo import CachePolicy
from django_enterprise_repo.caching.serializers import BytesSerde
from django_enterprise_repo.caching.store import store
from django_enterprise_repo.resilience.breakers import breaker
from tests.db.caching.conftest import SERIALIZER, everything_cached, locmem  # noqa: F401  # a fixture
from tests.faults.memcached import Memcached
from tests.faults.processes import wait_until
from tests.faults.redis_server import RedisServer
from tests.needs import need_program
from tests.testapp.models import Account, Bare

pytestmark = pytest.mark.django_db(transaction=True)

TIMEOUT = 0.4
LOCKED = 1  # seconds
PASSWORD = "secret"
DJANGO_REDIS, CORE_REDIS, MEMCACHED, LOCMEM = "django-redis", "Redis", "memcached", "LocMem"


@pytest.fixture
def backend():
    return DJANGO_REDIS


@pytest.fixture
def server(backend):
    """The cache's server, the test's own."""
    if backend == LOCMEM:
        yield None
        return
    program = "memcached" if backend == MEMCACHED else "redis-server"
    need_program(program, program)
    with (Memcached if backend == MEMCACHED else RedisServer)() as server:
        yield server


@pytest.fixture
def cache_settings(backend: str, server: Any) -> dict[str, Any]:
    if server is None:
        return locmem()
    settings: dict[str, Any] = {"KEY_PREFIX": uuid4().hex}
    if backend == DJANGO_REDIS:
        options = {"SERIALIZER": SERIALIZER, "SOCKET_TIMEOUT": TIMEOUT, "SOCKET_CONNECT_TIMEOUT": TIMEOUT}
        return {**settings, "BACKEND": "django_redis.cache.RedisCache", "LOCATION": server.url, "OPTIONS": options}
    if backend == CORE_REDIS:
        options = {"serializer": SERIALIZER, "socket_timeout": TIMEOUT, "socket_connect_timeout": TIMEOUT}
        path = "django.core.cache.backends.redis.RedisCache"
        return {**settings, "BACKEND": path, "LOCATION": server.url, "OPTIONS": options}
    options = {"serde": BytesSerde, "timeout": TIMEOUT, "connect_timeout": TIMEOUT, "dead_timeout": 1}
    path = "django.core.cache.backends.memcached.PyMemcacheCache"
    return {**settings, "BACKEND": path, "LOCATION": server.address, "OPTIONS": options}


@pytest.fixture
def policy():
    return CachePolicy(alias="cached", lock_ttl=LOCKED)


@pytest.fixture(autouse=True)
def cache(everything_cached):  # noqa: F811
    yield everything_cached
    caches["cached"].close()


@pytest.fixture
def row(cache):
    """A row that the cache answers for."""
    row = Bare.objects.add(Bare(name="a"))
    assert_caches(row)
    return row


def assert_caches(row: Any, within: float = 20) -> None:
    """Sooner or later the row is read from the cache, and all the time it is right."""
    size = Bare._base_manager.get(pk=row.pk).size

    def is_hit() -> bool:
        hits = Bare.objects.cache_info().hit
        assert Bare.objects.get(row.pk).size == size
        return Bare.objects.cache_info().hit > hits

    wait_until(is_hit, within, "the row is read from the cache")


@contextmanager
def taking_at_most(seconds: float):
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds


def use_while_down(row: Any) -> None:
    """Read and write while the cache cannot be asked: one timeout, and right answers."""
    with taking_at_most(2 * TIMEOUT + 1):
        Bare.objects.update(row.pk, size=1)
        for size in range(2, 12):
            assert Bare.objects.get(row.pk).size == size - 1
            Bare.objects.update(row.pk, size=size)
            assert Bare.objects.get_many([row.pk])[row.pk].size == size
    assert store("cached").owed
    assert breaker("default").is_closed
    assert not store("cached").breaker.is_closed


def refuse(server: RedisServer) -> Callable[[], None]:
    server.configure(requirepass=PASSWORD)
    with server.client(PASSWORD) as client:
        client.client_kill_filter(_type="normal", skipme=True)

    def let_in() -> None:
        with server.client(PASSWORD) as client:
            client.config_set("requirepass", "")

    return let_in


def fill_up(server: RedisServer) -> Callable[[], None]:
    server.configure(maxmemory_policy="noeviction", maxmemory="1")
    return lambda: server.configure(maxmemory="0")


def hang(server: Any) -> Callable[[], None]:
    server.suspend()
    return server.resume


def stop(server: Any) -> Callable[[], None]:
    server.kill()
    return server.start


OUTAGES = [
    *((backend, outage) for backend in (DJANGO_REDIS, CORE_REDIS) for outage in (stop, hang, refuse, fill_up)),
    (MEMCACHED, stop),
    (MEMCACHED, hang),
]


@pytest.mark.scenario(26, databases=("sqlite",))
@pytest.mark.parametrize(("backend", "outage"), OUTAGES, ids=[f"{b}-{o.__name__}" for b, o in OUTAGES])
def test_an_outage(backend, outage, server, row):
    threads = set(threading.enumerate())
    end = outage(server)
    use_while_down(row)
    end()

    assert_caches(row)

    assert Bare.objects.get(row.pk).size == 11
    assert store("cached").owed == 0
    assert store("cached").breaker.is_closed
    Bare.objects.update(row.pk, size=12)
    assert Bare.objects.get(row.pk).size == 12
    assert set(threading.enumerate()) <= threads


def test_a_lock_that_is_owed_is_paid_before_anything_is_read(server, row):
    server.suspend()
    Bare.objects.filter(pk=row.pk).update(size=1)
    assert store("cached").owed
    server.resume()
    wait_until(lambda: store("cached").breaker.snapshot().retry_after == 0, 10, "the breaker lets somebody through")

    locked = Bare.objects.cache_info().locked
    assert Bare.objects.get(row.pk).size == 1

    assert store("cached").owed == 0
    assert Bare.objects.cache_info().locked == locked + 1


def flush(server: Any, cache: Any) -> None:
    cache.clear()


def restart(server: Any, cache: Any) -> None:
    server.restart()


LOSSES = [(backend, loss) for backend in (DJANGO_REDIS, CORE_REDIS, MEMCACHED) for loss in (flush, restart)]


@pytest.mark.parametrize(("backend", "loss"), LOSSES, ids=[f"{b}-{o.__name__}" for b, o in LOSSES])
def test_a_cache_that_has_forgotten_everything(backend, loss, server, cache, row):
    for size in range(1, 4):
        Bare.objects.update(row.pk, size=size)
        loss(server, cache)
        assert Bare.objects.get(row.pk).size == size
    assert_caches(row)


def test_a_cache_that_evicts_whatever_it_likes(server):
    server.configure(maxmemory_policy="allkeys-lru", maxmemory="2mb")
    rows = Bare.objects.add_all([Bare(name=f"{number}") for number in range(400)])
    with server.client() as client:
        for size in range(1, 4):
            for row in rows:
                assert Bare.objects.get(row.pk).size == size - 1
            Bare.objects.all().update(size=size)
            for number in range(200):
                client.set(f"ballast {number}", b"x" * 10_000)
            assert {row.size for row in Bare.objects.get_many([row.pk for row in rows]).values()} == {size}
        assert client.info("stats")["evicted_keys"]
    assert breaker("default").is_closed


@pytest.mark.parametrize("backend", [DJANGO_REDIS, CORE_REDIS, MEMCACHED, LOCMEM])
def test_every_backend_serves(backend, row):
    rows = [row, *Bare.objects.add_all([Bare(name=name) for name in "bc"])]
    keys = [each.pk for each in rows]
    Bare.objects.update(row.pk, size=1)
    assert [each.size for each in Bare.objects.get_many(keys).values()] == [1, 0, 0]
    assert_caches(row)
    for each in rows:
        assert_caches(each)
    hits = Bare.objects.cache_info().hit
    assert [each.size for each in Bare.objects.get_many(keys).values()] == [1, 0, 0]
    assert Bare.objects.cache_info().hit == hits + 3
    Bare.objects.delete(row.pk)
    assert Bare.objects.get_or_none(row.pk) is None


@pytest.mark.parametrize("backend", [DJANGO_REDIS, CORE_REDIS, MEMCACHED, LOCMEM])
def test_a_row_that_is_too_large_leaves_the_others_their_cache(backend, row):
    large = Account.objects.add(Account(name="a", note="x" * 2_000_000))
    wait_until(
        lambda: len(Account.objects.get(large.pk).note) and Account.objects.cache_info().unfillable, 5, "refused"
    )

    assert store("cached").breaker.is_closed
    assert_caches(row)


def test_connections_are_used_again(server, row):
    with server.client() as client:
        before = client.info("clients")["connected_clients"]
        for size in range(50):
            Bare.objects.update(row.pk, size=size)
            Bare.objects.get(row.pk)
        assert client.info("clients")["connected_clients"] == before
    assert connection.connection is not None
