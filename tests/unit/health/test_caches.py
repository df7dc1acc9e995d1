"""What was put into a cache has to come out again."""

from __future__ import annotations

import pytest
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache

from django_enterprise_repo.health.caches import cache_aliases, round_trip

LOCAL = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}


class Forgetful(LocMemCache):
    """As django-redis with IGNORE_EXCEPTIONS and no Redis."""

    def get(self, key, default=None, version=None):
        return default


class TimeoutError_(Exception):
    pass


TimeoutError_.__name__ = "TimeoutError"


class Interrupted(LocMemCache):
    """As django-redis wraps the errors of its driver."""

    def set(self, *args, **kwargs):
        raise RuntimeError("redis://:s3cret@host") from TimeoutError_("host")


class Broken(LocMemCache):
    def set(self, *args, **kwargs):
        raise RuntimeError("s3cret")


def use(settings, backend):
    settings.CACHES = {"default": {"BACKEND": f"{__name__}.{backend.__name__}"}}


def test_a_cache_that_works_keeps_nothing_of_it(settings):
    settings.CACHES = {"default": {**LOCAL, "LOCATION": "health"}}

    assert round_trip("default", 1).status == "pass"
    assert not caches["default"]._cache


def test_a_lost_value_is_a_failure(settings):
    use(settings, Forgetful)

    assert round_trip("default", 1)[:2] == ("fail", "mismatch")


def test_what_went_wrong_is_told_by_kind(settings):
    use(settings, Interrupted)

    assert round_trip("default", 1)[:2] == ("fail", "timeout")


def test_an_unknown_error_is_the_probes_own_to_judge(settings):
    use(settings, Broken)

    with pytest.raises(RuntimeError):
        round_trip("default", 1)


def test_a_dummy_is_no_cache(settings):
    settings.CACHES = {"default": LOCAL, "dummy": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}

    assert cache_aliases() == ("default",)


def test_a_redis_that_is_not_there(settings):
    pytest.importorskip("django_redis")
    url = "redis://:s3cret@127.0.0.1:1/0"
    settings.CACHES = {
        "django": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": url},
        "plain": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": url},
        "silent": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": url,
            "OPTIONS": {"IGNORE_EXCEPTIONS": True},
        },
    }

    assert round_trip("django", 1)[:2] == ("fail", "connection")
    assert round_trip("plain", 1)[:2] == ("fail", "connection")
    assert round_trip("silent", 1)[:2] == ("fail", "mismatch")
