"""Real Redis and memcached: bytes go through, and what strangers put there is never opened."""

from __future__ import annotations

import pickle
import socket
from uuid import uuid4

import pytest
import redis
from django.core.cache import caches
from django.test import override_settings

from django_enterprise_repo.caching.codec import Undecodable
from django_enterprise_repo.caching.envelope import seal, unseal
from django_enterprise_repo.caching.serializers import BytesSerde, BytesSerializer, carries_bytes
from django_enterprise_repo.health.caches import round_trip
from tests.unit.caching.bombs import Bomb

SERIALIZER = "django_enterprise_repo.caching.serializers.BytesSerializer"
DJANGO_REDIS = "django_redis.cache.RedisCache"
REDIS = "django.core.cache.backends.redis.RedisCache"
MEMCACHED = "django.core.cache.backends.memcached.PyMemcacheCache"
BACKENDS = {
    "django-redis": (DJANGO_REDIS, {"SERIALIZER": SERIALIZER}),
    "django-redis, compressed": (
        DJANGO_REDIS,
        {"SERIALIZER": SERIALIZER, "COMPRESSOR": "django_redis.compressors.zlib.ZlibCompressor"},
    ),
    "Redis by path": (REDIS, {"serializer": SERIALIZER}),
    "Redis by class": (REDIS, {"serializer": BytesSerializer}),
    "Redis by instance": (REDIS, {"serializer": BytesSerializer()}),
    "memcached by class": (MEMCACHED, {"serde": BytesSerde}),
    "memcached by instance": (MEMCACHED, {"serde": BytesSerde()}),
}
UNSAFE = {"django-redis": (DJANGO_REDIS, {}), "Redis": (REDIS, {}), "memcached": (MEMCACHED, {})}


class Stranger:
    """Who can write to the server and knows no serializer."""

    def __init__(self, backend, location):
        self.backend, self.location = backend, location

    def store(self, key, data, flags):
        if self.backend == MEMCACHED:
            host, port = self.location.split(":")
            with socket.create_connection((host, int(port)), timeout=5) as connection:
                connection.sendall(f"set {key} {flags} 60 {len(data)}\r\n".encode() + data + b"\r\n")
                assert connection.recv(64) == b"STORED\r\n"
        else:
            with redis.Redis.from_url(self.location) as client:
                client.set(key, data, ex=60)


@pytest.fixture
def use(request):
    """Make a cache of a backend and its options; answers it and a stranger with access to its server."""
    opened = []

    def make(backend, options):
        location = request.getfixturevalue("memcached").address if backend == MEMCACHED else None
        location = location or request.getfixturevalue("redis_url")
        config = {"BACKEND": backend, "LOCATION": location, "OPTIONS": options, "KEY_PREFIX": uuid4().hex}
        override = override_settings(CACHES={"default": config})
        override.enable()
        opened.append(override)
        return caches["default"], Stranger(backend, location)

    yield make
    for override in opened:
        caches["default"].close()
        override.disable()


@pytest.fixture(params=BACKENDS)
def served(request, use):
    return use(*BACKENDS[request.param])


VALUES = [b"", b"a", b"\0\xff\r\n", bytes(range(256)) * 40, pickle.dumps({"a": 1})]


def test_bytes_come_back(served):
    cache, _ = served
    assert carries_bytes("default") is None

    for number, value in enumerate(VALUES):
        cache.set(f"set{number}", value, 60)
        assert cache.add(f"add{number}", value, 60)
        assert not cache.add(f"add{number}", b"too late", 60)
    cache.set_many({f"many{number}": value for number, value in enumerate(VALUES)}, 60)

    for kind in ("set", "add", "many"):
        assert [cache.get(f"{kind}{number}") for number in range(len(VALUES))] == VALUES
    keys = [f"many{number}" for number in range(len(VALUES))]
    assert cache.get_many(keys) == dict(zip(keys, VALUES, strict=True))
    assert cache.get("nothing") is None


@pytest.mark.parametrize("value", ["text", None, 1.5, True, {"a": 1}, bytearray(b"a"), memoryview(b"a"), Bomb()])
def test_nothing_else_goes_in(served, value):
    cache, _ = served

    for store in (cache.set, cache.add):
        with pytest.raises(TypeError, match=f"bytes and nothing else, not {type(value).__qualname__}"):
            store("key", value, 60)
    assert cache.get("key") is None


#: pymemcache says by flags what is a pickle (1), an integer (2 and 4), compressed (8) and text (16).
@pytest.mark.parametrize("flags", [0, 1, 2, 4, 8, 16, 31, 65535])
@pytest.mark.parametrize("protocol", [0, pickle.HIGHEST_PROTOCOL])
def test_the_pickle_of_a_stranger_is_bytes(served, flags, protocol):
    cache, stranger = served
    bomb = pickle.dumps(Bomb(), protocol)
    stranger.store(cache.make_key("key"), bomb, flags)

    assert cache.get("key") == bomb
    assert cache.get_many(["key"]) == {"key": bomb}
    with pytest.raises(Undecodable):
        unseal("key", cache.get("key"))
    assert Bomb.defuse() == 0


@pytest.mark.parametrize("name", UNSAFE)
def test_as_backends_come_they_open_the_pickle_of_a_stranger(use, name):
    """Why all this is here, and that the bomb of the test above is one."""
    cache, stranger = use(*UNSAFE[name])
    assert "OPTIONS" in carries_bytes("default")
    stranger.store(cache.make_key("key"), pickle.dumps(Bomb()), 1)

    cache.get("key")

    assert Bomb.defuse() == 1


def test_sealed_values_survive_every_backend(served):
    cache, _ = served
    cache.set("key", seal("key", b"7", b"body"), 60)
    cache.set("copy", cache.get("key"), 60)

    assert unseal("key", cache.get("key")) == (b"7", b"body")
    with pytest.raises(Undecodable):
        unseal("copy", cache.get("copy"))


@pytest.mark.parametrize("number", [b"123", b"-1", b" 5 "])
def test_what_looks_like_a_number_is_no_sealed_value_either(served, number):
    cache, stranger = served
    stranger.store(cache.make_key("key"), number, 2)

    with pytest.raises(Undecodable):
        unseal("key", cache.get("key"))


def test_the_health_of_such_a_cache_is_no_other(served):
    assert round_trip("default", 1).status == "pass"
