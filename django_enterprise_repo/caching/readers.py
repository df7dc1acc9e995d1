"""Reading several keys of a cache at once."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from django.core.cache.backends.base import default_key_func

from .serializers import BytesSerializer

Reader = Callable[[Collection[str]], Mapping[str, Any]]

#: The only classes of django-redis and redis-py that leave bytes as they are and talk to one server.
_CLIENT = "django_redis.client.default.DefaultClient"
_DRIVER = "redis.client.Redis"
_COMPRESSOR = "django_redis.compressors.identity.IdentityCompressor"


def reader_of(cache: Any) -> Reader:
    """How several keys of ``cache`` are read: by its ``get_many``, or quicker where that only passes bytes on."""
    reader: Reader | None = getattr(cache, "repository_reader", None)
    if reader is None:
        reader = cache.repository_reader = RedisReader(cache) if _is_bare_redis(cache) else cache.get_many
    return reader


def _is_bare_redis(cache: Any) -> bool:
    client: Any = getattr(cache, "client", None)
    if _name_of(client) != _CLIENT or type(client._serializer) is not BytesSerializer:
        return False
    driver = client.get_client(write=False)
    if _name_of(client._compressor) != _COMPRESSOR or _name_of(driver) != _DRIVER:
        return False
    return "credential_provider" not in driver.connection_pool.connection_kwargs  # the pool renews what it has


class RedisReader:
    """MGET on connections with the settings of django-redis's pool, and without its ceremony.

    To take a connection out of the pool, to see whether it still stands and to give it back takes half as long as a
    Redis nearby needs to answer; and so does what django-redis does to each key and value. So these connections are
    kept beside the pool, as many as there are reads at the same moment, and no ``max_connections`` counts them.
    """

    def __init__(self, cache: Any) -> None:
        from redis.exceptions import ConnectionError

        self._cache = cache
        self._lost = ConnectionError
        pool = cache.client.get_client(write=False).connection_pool
        self._connect = partial(pool.connection_class, **pool.connection_kwargs)
        #: Connections that nobody uses. A cache is made for each thread, the pool for all.
        self._idle: deque[Any] = pool.__dict__.setdefault("repository_idle", deque())

    def __call__(self, keys: Collection[str]) -> Mapping[str, Any]:
        return dict(zip(keys, self._read(self._names(keys)), strict=True))

    def _names(self, keys: Collection[str]) -> list[str]:
        cache = self._cache
        if cache.key_func is not default_key_func:
            return [cache.client.make_key(key) for key in keys]
        prefix = f"{cache.key_prefix}:{cache.version}:"
        return [prefix + key for key in keys]

    def _read(self, names: list[str]) -> Any:
        used = self._take()
        if used is not None:
            try:
                return self._ask(used, names)
            except self._lost:
                pass  # since the last answer: the server was restarted, or hangs up on those who say nothing for long
        return self._ask(self._connect(), names)

    def _take(self) -> Any:
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if connection.pid == os.getpid():
                return connection  # the others belong to the process that has forked this one

    def _ask(self, connection: Any, names: list[str]) -> Any:
        try:
            connection.send_command("MGET", *names)
            values = connection.read_response()
        except BaseException:
            connection.disconnect()  # an answer that comes too late must not be the next one's
            raise
        self._idle.append(connection)
        return values


def _name_of(thing: object) -> str:
    return f"{type(thing).__module__}.{type(thing).__qualname__}"
