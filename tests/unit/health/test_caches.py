"""What was put into a cache has to come out again."""

from __future__ import annotations

import pytest
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache

from django_enterprise_repo.health.caches import _own_cache, cache_aliases, round_trip

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


def own_cache(settings, location, seconds=0.75, **cache):
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": location, **cache}
    }
    return _own_cache("default", seconds)


@pytest.mark.parametrize(
    ("location", "addresses"),
    [
        ("redis://:a%3Fb@h:1/0", ["redis://:a%3Fb@h:1/0?socket_timeout=0.8&socket_connect_timeout=0.8"]),
        (
            "rediss://h/1?ssl_cert_reqs=none",
            ["rediss://h/1?ssl_cert_reqs=none&socket_timeout=0.8&socket_connect_timeout=0.8"],
        ),
        ("unix:///run/s?db=2", ["unix:///run/s?db=2&socket_timeout=0.8&socket_connect_timeout=0.8"]),
        ("redis://h?socket_timeout=0.5", ["redis://h?socket_timeout=0.5&socket_connect_timeout=0.8"]),
        ("redis://h?socket_timeout=60", ["redis://h?socket_timeout=0.8&socket_connect_timeout=0.8"]),
        (
            "redis://a,redis://b",
            [
                "redis://a?socket_timeout=0.8&socket_connect_timeout=0.8",
                "redis://b?socket_timeout=0.8&socket_connect_timeout=0.8",
            ],
        ),
        (["redis://a"], ["redis://a?socket_timeout=0.8&socket_connect_timeout=0.8"]),
    ],
)
def test_the_address_of_a_redis_says_how_long_to_wait(settings, location, addresses):
    cache = own_cache(settings, location)

    assert cache._servers == addresses


@pytest.mark.parametrize("options", [{"socket_timeout": 0.1}, {"socket_timeout": None}, {"socket_timeout": 9}, {}])
def test_options_are_left_as_they_are(settings, options):
    cache = own_cache(settings, "redis://h", OPTIONS=options)

    limit = options.get("socket_timeout") if options.get("socket_timeout") == 0.1 else 0.8
    assert f"socket_timeout={limit}&" in cache._servers[0]
    assert cache._options == options
    assert settings.CACHES["default"]["LOCATION"] == "redis://h"


def test_a_service_behind_sentinels_has_the_limits_too(settings):
    pytest.importorskip("django_redis")
    options = {
        "CLIENT_CLASS": "django_redis.client.SentinelClient",
        "CONNECTION_FACTORY": "django_redis.pool.SentinelConnectionFactory",
        "SENTINELS": [("127.0.0.1", 1)],
    }
    cache = own_cache(settings, "redis://service/0", BACKEND="django_redis.cache.RedisCache", OPTIONS=options)

    factory = cache.client.connection_factory
    assert [url.partition("?")[2] for url in cache.client._server] == [
        f"socket_timeout=0.8&socket_connect_timeout=0.8&is_master={number}" for number in (1, 0)
    ]
    asked = factory._sentinel.sentinels[0].connection_pool.connection_kwargs
    assert (asked["socket_timeout"], asked["socket_connect_timeout"]) == (0.8, 0.8)
    pool = factory.get_connection_pool(factory.make_connection_params(cache.client._server[0]))
    assert (pool.is_master, pool.connection_kwargs["socket_timeout"]) == (True, 0.8)
    assert settings.CACHES["default"]["OPTIONS"].keys() >= {"SENTINELS"}
    assert "CLOSE_CONNECTION" not in settings.CACHES["default"]["OPTIONS"]


def test_other_caches_are_taken_as_they_are(settings):
    settings.CACHES = {"default": {**LOCAL, "LOCATION": "x"}}

    assert isinstance(_own_cache("default", 1), LocMemCache)


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
