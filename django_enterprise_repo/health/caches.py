"""Asking a cache: what was put in has to come out again."""

from __future__ import annotations

from uuid import uuid4

from django.conf import settings
from django.core.cache import BaseCache, caches

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


def cache_aliases() -> tuple[str, ...]:
    """The caches that keep something."""
    return tuple(
        alias for alias, cache in settings.CACHES.items() if not cache.get("BACKEND", "").endswith(".DummyCache")
    )


def round_trip(alias: str, seconds: float) -> Outcome:
    """Set, get and delete a key that nobody else has."""
    cache = caches.create_connection(alias)
    key = f"repository-health-{uuid4().hex}"
    try:
        value = _stored(cache, key)
        found = cache.get(key)
        cache.delete(key)
    except Exception as error:
        kind = _kind(error)
        if kind is None:
            raise
        return Outcome("fail", kind)
    finally:
        cache.close()
    # A cache that is told to ignore its errors has lost the value without a word.
    return Outcome("pass") if found == value else Outcome("fail", "mismatch")


def _stored(cache: BaseCache, key: str) -> str | bytes:
    value = f"health-{uuid4().hex}"
    try:
        cache.set(key, value, _KEPT)
    except TypeError:  # a serializer that takes nothing but bytes
        cache.set(key, value.encode(), _KEPT)
        return value.encode()
    return value


def _kind(error: BaseException | None) -> str | None:
    while error is not None:
        for cls in type(error).__mro__:
            if cls.__name__ in _KINDS:
                return _KINDS[cls.__name__]
        error = error.__cause__
    return None
