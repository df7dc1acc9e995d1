"""Which configured caches carry bytes, and why others don't."""

from __future__ import annotations

import pytest
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache
from pymemcache.serde import CompressedSerde, PickleSerde

from django_enterprise_repo.caching.serializers import BytesSerde, BytesSerializer, carries_bytes
from tests.unit.test_package import imported_by

CORE = "django.core.cache.backends"
OURS = "django_enterprise_repo.caching.serializers.BytesSerializer"


class Counting(LocMemCache):
    """As packages that measure caches derive from them."""


class CountingRedis(RedisCache):
    pass


class LoudSerializer(BytesSerializer):
    pass


class LoudSerde(BytesSerde):
    pass


class Other:
    """A backend that nobody knows."""

    def __init__(self, location, params):
        pass


def here(cls):
    return f"{__name__}.{cls.__qualname__}"


def problem(settings, backend, **options):
    location = "127.0.0.1:1" if "memcached" in backend else "redis://127.0.0.1:1"
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": location, "OPTIONS": options}}
    return carries_bytes("default")


GOOD = [
    (f"{CORE}.locmem.LocMemCache", {}),
    (f"{CORE}.dummy.DummyCache", {}),
    (here(Counting), {}),
    (f"{CORE}.redis.RedisCache", {"serializer": OURS}),
    (f"{CORE}.redis.RedisCache", {"serializer": LoudSerializer}),
    (here(CountingRedis), {"serializer": OURS}),
    ("django_redis.cache.RedisCache", {"SERIALIZER": OURS}),
    ("django_redis.cache.RedisCache", {"SERIALIZER": here(LoudSerializer)}),
    (f"{CORE}.memcached.PyMemcacheCache", {"serde": BytesSerde}),
    (f"{CORE}.memcached.PyMemcacheCache", {"serde": LoudSerde()}),
]


@pytest.mark.parametrize(("backend", "options"), GOOD)
def test_caches_that_carry_bytes(settings, backend, options):
    assert problem(settings, backend, **options) is None


BAD = [
    (f"{CORE}.redis.RedisCache", {}, f'OPTIONS["serializer"] is RedisSerializer; with {OURS} values are bytes'),
    (f"{CORE}.redis.RedisCache", {"SERIALIZER": OURS}, 'OPTIONS["serializer"] is RedisSerializer'),
    ("django_redis.cache.RedisCache", {}, f'OPTIONS["SERIALIZER"] is PickleSerializer; with {OURS} values are'),
    ("django_redis.cache.RedisCache", {"serializer": OURS}, 'OPTIONS["SERIALIZER"] is PickleSerializer;'),
    (
        "django_redis.cache.RedisCache",
        {"SERIALIZER": "django_redis.serializers.json.JSONSerializer"},
        'OPTIONS["SERIALIZER"] is JSONSerializer;',
    ),
    (
        "django_redis.cache.RedisCache",
        {"SERIALIZER": OURS, "CLIENT_CLASS": "django_redis.client.HerdClient"},
        "HerdClient stores tuples",
    ),
    ("django_redis.cache.RedisCache", {"SERIALIZER": "no.such.Serializer"}, "cannot be made: No module named 'no'"),
    (f"{CORE}.memcached.PyMemcacheCache", {}, 'OPTIONS["serde"] is PickleSerde; with an instance of '),
    (
        f"{CORE}.memcached.PyMemcacheCache",
        {"serde": PickleSerde()},
        'OPTIONS["serde"] is PickleSerde; with an instance of ',
    ),
    (
        f"{CORE}.memcached.PyMemcacheCache",
        {"serde": CompressedSerde(serde=BytesSerde())},
        'OPTIONS["serde"] is CompressedSerde;',
    ),
    (f"{CORE}.memcached.PyLibMCCache", {}, "PyLibMCCache unpickles what it reads and has no option against it"),
    (f"{CORE}.filebased.FileBasedCache", {}, "FileBasedCache unpickles what it reads"),
    (f"{CORE}.db.DatabaseCache", {}, "DatabaseCache unpickles what it reads"),
    (here(Other), {}, "Nobody knows whether Other unpickles"),
    ("no.such.Cache", {}, "cannot be made: No module named 'no'"),
]


@pytest.mark.parametrize(("backend", "options", "expected"), BAD)
def test_caches_that_do_not(settings, backend, options, expected):
    assert expected in problem(settings, backend, **options)


def test_an_alias_that_is_none():
    assert carries_bytes("nowhere") == "No cache has the alias 'nowhere'."


def test_settings_can_import_it():
    modules = imported_by("from django_enterprise_repo.caching.serializers import BytesSerde")

    assert not modules & {"msgspec", "redis", "django_redis", "pymemcache", "django.db.models"}
