"""What cached rows need of a cache backend, asked of the backend as it is configured; no server is asked.

Backends are told apart by what they are made of, so that a subclass is judged as what it derives from, and none of
their modules is imported where a project doesn't use it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

#: Entries that LocMemCache keeps where nobody says how many.
LOCMEM_DEFAULT = 300


def is_locmem(cache: Any) -> bool:
    """Whether each process has a cache of its own."""
    return _is(cache, _LOCMEM)


def is_small(cache: Any) -> bool:
    """Whether a cache in the process keeps no more than Django lets it when nobody says how much."""
    return is_locmem(cache) and cache._max_entries <= LOCMEM_DEFAULT


def swallowing_option(cache: Any) -> str | None:
    """The option by which the cache doesn't say that it has not done what it was asked to."""
    if _is(cache, _DJANGO_REDIS) and cache._ignore_exceptions:
        return "IGNORE_EXCEPTIONS"
    if _is(cache, _PYMEMCACHE) and cache._options.get("ignore_exc"):
        return "ignore_exc"
    return None


def may_answer_otherwise(cache: Any) -> bool:
    """Whether what one server was told may be asked of another one.

    Both Redis backends read from replicas where there are several servers, and those lag. pymemcache hands the keys of
    a server that doesn't answer to the others, and takes them back with all that the server still holds.
    """
    if _is(cache, _DJANGO_REDIS):
        return not _is(cache.client, _SHARDS) and len(cache.client._server) > 1
    return _is(cache, _REDIS, _PYMEMCACHE) and len(cache._servers) > 1


def missing_timeouts(cache: Any) -> Iterator[str]:
    """The options without which the cache may keep a caller waiting for ever."""
    if _is(cache, _DJANGO_REDIS):
        factory = cache.client.connection_factory
        # Not the pools that it keeps: those are one for each URL, whoever was the first to use it.
        pools = [factory.get_connection_pool(factory.make_connection_params(url)) for url in cache.client._server]
        yield from _missing_in_redis(pools, "SOCKET_TIMEOUT", "SOCKET_CONNECT_TIMEOUT")
    elif _is(cache, _REDIS):
        pool = cache._cache.get_client(write=True).connection_pool
        yield from _missing_in_redis([pool], "socket_timeout", "socket_connect_timeout")
    elif _is(cache, _PYMEMCACHE):
        yield from (name for name in ("timeout", "connect_timeout") if cache._options.get(name) is None)


def _missing_in_redis(pools: list[Any], *options: str) -> Iterator[str]:
    # Not what is in OPTIONS: the URL may say it, and so may the driver's own defaults. Making one opens no socket.
    connections = [pool.connection_class(**pool.connection_kwargs) for pool in pools]
    for option in options:
        if any(getattr(connection, option.lower()) is None for connection in connections):
            yield option


def _is(thing: Any, *names: str) -> bool:
    return any(f"{cls.__module__}.{cls.__qualname__}" in names for cls in type(thing).__mro__)


_DJANGO_REDIS = "django_redis.cache.RedisCache"
_SHARDS = "django_redis.client.sharded.ShardClient"
_REDIS = "django.core.cache.backends.redis.RedisCache"
_PYMEMCACHE = "django.core.cache.backends.memcached.PyMemcacheCache"
_LOCMEM = "django.core.cache.backends.locmem.LocMemCache"
