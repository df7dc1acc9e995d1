"""Bytes in, bytes out: what keeps a cache backend from unpickling whatever it finds.

Django's caches pickle by default, and they unpickle before anybody can look at the value. Who can write to such a cache
runs code in every process that reads it. A cache with one of these carries bytes and nothing else, so it is best an
alias of its own::

    CACHES = {
        "rows": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": "redis://127.0.0.1:6379/1",
            "OPTIONS": {"SERIALIZER": "django_enterprise_repo.caching.serializers.BytesSerializer"},
        },
    }

Django's own ``RedisCache`` has the option ``"serializer"`` for the same path, its ``PyMemcacheCache`` the option
``"serde"`` for a :class:`BytesSerde`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string


class BytesSerializer:
    """The serializer of a cache in Redis, through django-redis or Django's own backend."""

    def __init__(self, options: dict[str, Any] | None = None) -> None:
        """django-redis hands over its options, Django nothing; there is nothing to choose."""

    def dumps(self, value: object) -> bytes:
        """``value`` itself.

        Raises:
            TypeError: it isn't bytes.
        """
        return _bytes(value)

    def loads(self, value: bytes) -> bytes:
        """What is stored, whatever it is."""
        return value


class BytesSerde:
    """The ``serde`` of a cache in memcached, through pymemcache: an instance or the class itself."""

    @staticmethod
    def serialize(key: object, value: object) -> tuple[bytes, int]:
        """``value`` itself, with flags that mean nothing.

        Raises:
            TypeError: it isn't bytes.
        """
        return _bytes(value), 0

    @staticmethod
    def deserialize(key: object, value: bytes, flags: int) -> bytes:
        """What is stored. Flags were chosen by whoever stored it, so they decide nothing."""
        return value


def _bytes(value: object) -> bytes:
    if type(value) is not bytes:
        raise TypeError(f"This cache carries bytes and nothing else, not {type(value).__qualname__}.")
    return value


def carries_bytes(alias: str) -> str | None:
    """Why values of the cache ``alias`` are not safe to read, ``None`` when none of them is ever unpickled.

    Asks the backend as it is configured, not the server. Processes share nothing through ``LocMemCache`` and
    ``DummyCache``, so what these pickle is their own.
    """
    if alias not in caches.settings:
        return f"No cache has the alias {alias!r}."
    try:
        backend = import_string(caches.settings[alias]["BACKEND"])
        kind = _known_name(backend, {*_IN_PROCESS, *_ALWAYS_PICKLE, *_JUDGES})
        if kind in _IN_PROCESS:
            return None
        if kind in _ALWAYS_PICKLE:
            return f"{backend.__qualname__} unpickles what it reads and has no option against it."
        if kind in _JUDGES:
            return _JUDGES[kind](caches[alias])
    except (ImportError, ImproperlyConfigured) as error:
        return f"The cache cannot be made: {error}"
    return f"Nobody knows whether {backend.__qualname__} unpickles what it reads."


def _known_name(cls: type, names: Collection[str]) -> str | None:
    """Which of these classes, given by name, ``cls`` is or derives from; the nearest one."""
    found = (f"{base.__module__}.{base.__qualname__}" for base in cls.__mro__)
    return next((name for name in found if name in names), None)


def _redis(cache: Any) -> str | None:
    return _judge_serializer(cache._cache._serializer, option="serializer")


def _django_redis(cache: Any) -> str | None:
    client = cache.client
    if _known_name(type(client), [_HERD]):
        return "HerdClient stores tuples of objects of its own, which only pickle can carry."
    return _judge_serializer(client._serializer, option="SERIALIZER")


def _pymemcache(cache: Any) -> str | None:
    serde = cache._options["serde"]
    if isinstance(serde, BytesSerde) or (isinstance(serde, type) and issubclass(serde, BytesSerde)):
        return None
    return _advice("serde", serde, f"an instance of {__name__}.BytesSerde")


def _judge_serializer(serializer: object, option: str) -> str | None:
    if isinstance(serializer, BytesSerializer):
        return None
    return _advice(option, serializer, f"{__name__}.BytesSerializer")


def _advice(option: str, found: object, wanted: str) -> str:
    cls = found if isinstance(found, type) else type(found)
    return f'OPTIONS["{option}"] is {cls.__qualname__}; with {wanted} values are bytes and never unpickled.'


_HERD = "django_redis.client.herd.HerdClient"
# Backends by name: the module of one is imported where a project uses it.
_IN_PROCESS = {
    "django.core.cache.backends.dummy.DummyCache",
    "django.core.cache.backends.locmem.LocMemCache",
}
_ALWAYS_PICKLE = {
    "django.core.cache.backends.db.DatabaseCache",
    "django.core.cache.backends.filebased.FileBasedCache",
    "django.core.cache.backends.memcached.PyLibMCCache",
}
_JUDGES: dict[str, Callable[[Any], str | None]] = {
    "django.core.cache.backends.memcached.PyMemcacheCache": _pymemcache,
    "django.core.cache.backends.redis.RedisCache": _redis,
    "django_redis.cache.RedisCache": _django_redis,
}
