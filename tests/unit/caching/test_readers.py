"""Keys are read on connections that are kept beside the pool, one for each read, and may be gone at any time."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
import redis
from django.core.cache import caches

from django_enterprise_repo.caching.readers import RedisReader, reader_of

SERIALIZER = "django_enterprise_repo.caching.serializers.BytesSerializer"


def shout(key, prefix, version):
    return f"{prefix}!{version}!{key}"


@pytest.fixture
def options():
    return {"SERIALIZER": SERIALIZER}


@pytest.fixture
def more():
    return {}


@pytest.fixture
def cache(settings, redis_url, options, more):
    settings.CACHES = {
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": redis_url,
            "OPTIONS": options,
            "KEY_PREFIX": uuid4().hex,
            "VERSION": 7,
            **more,
        }
    }
    cache = caches["default"]
    cache.client.get_client(write=False).connection_pool.__dict__.pop("repository_idle", None)
    cache.set_many({"a": b"1", "b": b"2"}, 60)
    return cache


@pytest.fixture
def server(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def named(cache):
    """The name that the connections of the reader go by."""
    name = f"test-{uuid4().hex}"
    cache.client.get_client(write=False).connection_pool.connection_kwargs["client_name"] = name
    yield name
    del cache.client.get_client(write=False).connection_pool.connection_kwargs["client_name"]


def connections(server, name):
    return [client["id"] for client in server.client_list() if client["name"] == name]


@pytest.mark.parametrize("more", [{}, {"KEY_FUNCTION": f"{__name__}.shout"}], ids=["usual keys", "a key function"])
def test_what_is_there_is_read_and_what_is_not_is_none(cache):
    reader = reader_of(cache)
    assert isinstance(reader, RedisReader)
    assert reader_of(cache) is reader
    assert reader(["a", "nothing", "b"]) == {"a": b"1", "nothing": None, "b": b"2"}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"SERIALIZER": SERIALIZER, "COMPRESSOR": "django_redis.compressors.zlib.ZlibCompressor"},
        {"SERIALIZER": SERIALIZER, "CLIENT_CLASS": "django_redis.client.HerdClient", "CACHE_HERD_TIMEOUT": 5},
    ],
    ids=["pickled", "compressed", "another client"],
)
def test_where_something_else_is_made_of_values_the_cache_is_asked(settings, redis_url, options):
    location = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": redis_url, "OPTIONS": options}
    settings.CACHES = {"default": location}
    cache = caches["default"]
    assert reader_of(cache) == cache.get_many


def test_a_pool_that_renews_its_credentials_is_used(cache):
    kwargs = cache.client.get_client(write=False).connection_pool.connection_kwargs
    kwargs["credential_provider"] = redis.credentials.UsernamePasswordCredentialProvider()
    assert reader_of(cache) == cache.get_many
    del kwargs["credential_provider"]


def test_a_connection_that_the_server_has_closed_is_replaced_unnoticed(cache, server, named):
    reader = reader_of(cache)
    reader(["a"])
    (connection,) = connections(server, named)

    server.client_kill_filter(_id=connection)

    assert reader(["a"]) == {"a": b"1"}
    assert connections(server, named) not in ([], [connection])


def test_a_server_that_is_gone_is_asked_once_and_told(cache, monkeypatch):
    reader = reader_of(cache)
    reader(["a"])
    asked = []

    def refuse(self, *args):
        asked.append(self)
        raise redis.exceptions.ConnectionError

    monkeypatch.setattr(redis.connection.Connection, "send_command", refuse)
    with pytest.raises(redis.exceptions.ConnectionError):
        reader(["a"])
    assert len(asked) == 2, "on the connection that was there, and on a new one"

    with pytest.raises(redis.exceptions.ConnectionError):
        reader(["a"])
    assert len(asked) == 3


def interrupt(self):
    raise KeyboardInterrupt


def test_an_answer_that_came_too_late_is_nobody_elses(cache, monkeypatch):
    reader = reader_of(cache)
    assert reader(["a"]) == {"a": b"1"}
    with monkeypatch.context() as patched:
        patched.setattr(redis.connection.Connection, "read_response", interrupt)
        with pytest.raises(KeyboardInterrupt):
            reader(["a"])
    assert reader(["b"]) == {"b": b"2"}


def test_threads_share_connections_and_never_one(cache, server, named):
    reader_of(cache)(["a"])
    together = threading.Barrier(4)

    def read(number):
        together.wait(10)
        reader = reader_of(caches["default"])
        return [reader(["a", "b"]) for _ in range(200)]

    for _ in range(3):  # threads that end, and others after them
        with ThreadPoolExecutor(4) as threads:
            for answers in threads.map(read, range(4)):
                assert all(answer == {"a": b"1", "b": b"2"} for answer in answers)
    assert 1 <= len(connections(server, named)) <= 4


def test_the_child_of_a_fork_has_its_own(cache, server, named):
    reader = reader_of(cache)
    reader(["a"])
    (mine,) = connections(server, named)
    there, here = os.pipe()
    pid = os.fork()
    if not pid:
        ok = reader(["b"]) == {"b": b"2"} and len(connections(server, named)) == 2
        os.write(here, b"y" if ok else b"n")
        os._exit(0)
    assert os.read(there, 1) == b"y"
    os.waitpid(pid, 0)
    os.close(there)
    os.close(here)
    assert reader(["a"]) == {"a": b"1"}
    assert connections(server, named) == [mine]
