"""Asking a cache: what was put in has to come out again."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlencode
from uuid import uuid4

from django.conf import settings
from django.core.cache import DEFAULT_CACHE_ALIAS, CacheHandler, caches
from django.core.cache.backends.base import BaseCache
from django.utils.module_loading import import_string

from .report import Outcome

#: Seconds after which a key is gone that a probe could not delete.
_KEPT = 10
#: Drivers of caches have no common base; the names of their errors, or of those behind them, say what went wrong.
_KINDS = {
    "AuthenticationError": "authentication",
    "TimeoutError": "timeout",
    "ConnectionError": "connection",
    "OutOfMemoryError": "resources",
}
#: What the drivers of Redis and Valkey take for an address; all of them read limits from its query.
_ADDRESS = re.compile(r"(?:redis|rediss|valkey|valkeys|unix)://")
_BETWEEN_ADDRESSES = re.compile(rf"([,;])(?={_ADDRESS.pattern})")
_LIMITS = ("socket_timeout", "socket_connect_timeout")


def cache_aliases() -> tuple[str, ...]:
    """The caches that keep something."""
    return tuple(
        alias for alias, cache in settings.CACHES.items() if not cache.get("BACKEND", "").endswith(".DummyCache")
    )


def round_trip(alias: str, seconds: float) -> Outcome:
    """Set, get and delete a key that nobody else has.

    The driver of a Redis gives up soon after ``seconds`` for each thing that it waits for. Others as they are told to.
    """
    ends_at = time.monotonic() + seconds
    cache = _own_cache(alias, seconds)
    key = f"repository-health-{uuid4().hex}"
    try:
        value = _stored(cache, key)
        # A cache that is told to ignore its errors has lost the value without a word, and would wait again.
        found = cache.get(key) if time.monotonic() < ends_at else None
        if time.monotonic() >= ends_at:
            return Outcome("fail", "timeout")
        cache.delete(key)
    except Exception as error:
        kind = _kind(error)
        if kind is None:
            raise
        return Outcome("fail", kind)
    finally:
        _close(cache)
    return Outcome("pass") if found == value else Outcome("fail", "mismatch")


def _close(cache: BaseCache) -> None:
    """Leave no connection behind. Django's own backend for Redis leaves its pools to the garbage collector."""
    cache.close()
    for pool in getattr(vars(cache).get("_cache"), "_pools", {}).values():
        pool.disconnect()


def _stored(cache: BaseCache, key: str) -> str | bytes:
    value = f"health-{uuid4().hex}"
    try:
        cache.set(key, value, _KEPT)
    except TypeError:  # a serializer that takes nothing but bytes
        cache.set(key, value.encode(), _KEPT)
        return value.encode()
    return value


def _own_cache(alias: str, seconds: float) -> BaseCache:
    """The cache of ``alias``, and where that is a Redis, on connections of its own that wait no longer than asked.

    What goes through the pool of everybody would wait as long as the project lets it, which may be for ever.
    """
    cache = settings.CACHES[alias]
    location = cache.get("LOCATION", "")
    addresses = location if isinstance(location, list | tuple) else _BETWEEN_ADDRESSES.split(location)
    if not addresses or not _ADDRESS.match(str(addresses[0])):
        return caches.create_connection(alias)
    options = cache.get("OPTIONS", {})
    limited = [_limited(address, options, seconds) if _ADDRESS.match(address) else address for address in addresses]
    own = {
        **cache,
        "LOCATION": limited if isinstance(location, list | tuple) else "".join(limited),
        "OPTIONS": {**options, **_options_of_its_own(cache["BACKEND"], options, seconds)},
    }
    return CacheHandler({DEFAULT_CACHE_ALIAS: own}).create_connection(DEFAULT_CACHE_ALIAS)


def _limited(address: str, options: Mapping[str, Any], seconds: float) -> str:
    """``address`` with limits, which a driver takes from there before it looks at ``options``."""
    base, _, query = address.partition("?")
    asked = parse_qs(query)
    for name in _LIMITS:
        asked[name] = [str(_limit((*asked.get(name, ()), *_given(name, options)), seconds))]
    return f"{base}?{urlencode(asked, doseq=True)}"


def _options_of_its_own(backend: str, options: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """For django-redis: give connections back to nobody, and ask Sentinels no longer than the others."""
    if not any(cls.__module__.startswith("django_redis.") for cls in import_string(backend).__mro__):
        return {}
    limits = {name.upper(): _limit(_given(name, options), seconds) for name in _LIMITS}
    return {"CLOSE_CONNECTION": True, **limits}


def _given(name: str, options: Mapping[str, Any]) -> tuple[Any, ...]:
    """A limit as the project gives it to Django's backend or to django-redis."""
    return options.get(name), options.get(name.upper()), options.get("CONNECTION_POOL_KWARGS", {}).get(name)


def _limit(given: Iterable[Any], seconds: float) -> float:
    """The project's limit where it is shorter than ``seconds``, those in tenths: pools are kept by their address."""
    return min((math.ceil(seconds * 10) / 10, *(float(limit) for limit in given if limit)))


def _kind(error: BaseException | None) -> str | None:
    while error is not None:
        for cls in type(error).__mro__:
            if cls.__name__ in _KINDS:
                return _KINDS[cls.__name__]
        error = error.__cause__
    return None
