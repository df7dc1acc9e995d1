"""One test for each check of cached rows, each of them both ways."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core import checks as django_checks
from django.core.cache.backends.locmem import LocMemCache
from django.db import connections, models
from django.test import override_settings
from django.test.utils import isolate_apps

from django_enterprise_repo import CachePolicy, CacheStrategy, Repository, RepositoryModel, RepositoryQuerySet
from django_enterprise_repo.caching.serializers import BytesSerde
from django_enterprise_repo.checks import caching
from django_enterprise_repo.checks.caching import (
    check_cache_policies,
    check_cached_models,
    check_caches,
    check_processes,
)

ROOT = Path(__file__).resolve().parent.parent.parent
LOCAL = {
    "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
    "LOCATION": "checked",
    "OPTIONS": {"MAX_ENTRIES": 10_000},
}
SERIALIZER = "django_enterprise_repo.caching.serializers.BytesSerializer"
DJANGO_REDIS = {"SERIALIZER": SERIALIZER, "SOCKET_TIMEOUT": 0.2, "SOCKET_CONNECT_TIMEOUT": 0.2}
REDIS = {"serializer": SERIALIZER, "socket_timeout": 0.2, "socket_connect_timeout": 0.2}
MEMCACHED = {"serde": BytesSerde, "timeout": 0.2, "connect_timeout": 0.2}
SENTINELS = {
    "CLIENT_CLASS": "django_redis.client.SentinelClient",
    "CONNECTION_POOL_CLASS": "redis.sentinel.SentinelConnectionPool",
    "CONNECTION_FACTORY": "django_redis.pool.SentinelConnectionFactory",
    "SENTINELS": [("127.0.0.1", 26379)],
}


class Own(LocMemCache):
    """A cache that a project derives from one of Django's."""


def django_redis(location: Any = "redis://127.0.0.1:6379/0", **options: Any) -> dict[str, Any]:
    pytest.importorskip("django_redis")
    backend = "django_redis.cache.RedisCache"
    return {"BACKEND": backend, "LOCATION": location, "OPTIONS": {**DJANGO_REDIS, **options}}


def redis(location: Any = "redis://127.0.0.1:6379/0", **options: Any) -> dict[str, Any]:
    pytest.importorskip("redis")
    backend = "django.core.cache.backends.redis.RedisCache"
    return {"BACKEND": backend, "LOCATION": location, "OPTIONS": {**REDIS, **options}}


def memcached(location: Any = "127.0.0.1:11211", **options: Any) -> dict[str, Any]:
    pytest.importorskip("pymemcache")
    backend = "django.core.cache.backends.memcached.PyMemcacheCache"
    return {"BACKEND": backend, "LOCATION": location, "OPTIONS": {**MEMCACHED, **options}}


@pytest.fixture(autouse=True)
def _registry() -> Iterator[None]:
    """An app registry that holds nothing but the models of the test, seen by the checks."""
    with isolate_apps("tests.testapp") as isolated, pytest.MonkeyPatch.context() as patch:
        patch.setattr(caching, "apps", isolated)
        yield


def found(messages: Any) -> list[str]:
    return [message.id.removeprefix("enterprise_repo.") for message in messages]


def model(
    name: str = "Thing", *, base: Any = RepositoryModel, repository: Any = Repository, **members: Any
) -> type[models.Model]:
    """A model whose repository has a cache policy."""
    policy = members.pop("cache", CachePolicy(alias="rows"))
    objects = repository.configured(cache=policy)()
    meta = type("Meta", (), {"app_label": "testapp"})
    return type(name, (base,), {"__module__": __name__, "objects": objects, **members, "Meta": meta})


def check(cache: dict[str, Any]) -> list[Any]:
    """What is said of a cache that rows are to be cached in."""
    model()
    with override_settings(CACHES={"rows": cache}):
        return check_caches()


@pytest.mark.parametrize("policy", [300, "default", CachePolicy, {"ttl": 300}, False])
def test_E012(policy):
    thing = model(cache=policy)

    (message,) = check_cache_policies()

    assert found([message]) == ["E012"]
    assert message.obj is thing
    assert check_cached_models() == check_caches() == check_processes() == []


def test_E013():
    thing = model(cache=CachePolicy(strategy=CacheStrategy.WRITE_THROUGH))

    (message,) = check_cache_policies()

    assert found([message]) == ["E013"]
    assert message.obj is thing


def test_no_policy_and_one_that_reads_through_are_fine():
    model("First", cache=None)
    model("Second")

    assert check_cache_policies() == []


@pytest.mark.parametrize(
    "caches",
    [
        {"default": LOCAL},
        {"rows": {"BACKEND": "django.core.cache.backends.nothing.Cache"}},
        {"rows": {"LOCATION": "no backend"}},
        {"rows": django_redis("nonsense")},
        {"rows": redis(nonsense=True)},
    ],
    ids=["another alias", "no such class", "no class", "no URL", "no such option"],
)
def test_E014(caches):
    model()

    with override_settings(CACHES=caches):
        messages = [message for message in check_caches() if message.id == "enterprise_repo.E014"]
        assert check_processes() == []

    assert len(messages) == 1
    assert "'rows'" in messages[0].msg


@pytest.mark.parametrize("cache", [LOCAL, django_redis(), redis(), memcached()], ids=lambda cache: cache["BACKEND"])
def test_a_cache_as_the_guide_sets_it_up_is_fine(cache):
    assert check(cache) == []


@pytest.mark.parametrize(
    "cache",
    [
        django_redis(SERIALIZER="django_redis.serializers.json.JSONSerializer"),
        redis(serializer=None),
        {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": "/nowhere"},
        {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cache"},
    ],
    ids=["django-redis", "Redis", "files", "database"],
)
def test_E015(cache):
    (message,) = check(cache)

    assert found([message]) == ["E015"]


def test_nobody_minds_a_cache_without_cached_rows():
    model(cache=CachePolicy(alias="rows"))

    with override_settings(
        CACHES={"rows": LOCAL, "default": {"BACKEND": "nonsense"}, "pickles": redis(serializer=None)}
    ):
        assert check_caches() == []


class Foreign(models.Field):
    """A field that reads its column as nobody knows how."""

    def from_db_value(self, value, expression, connection):
        return value

    def db_type(self, connection):
        return "text"


def test_E016():
    thing = model(first=Foreign(), second=Foreign(), third=models.TextField())
    model("Other", first=models.TextField())

    (message,) = check_cached_models()

    assert found([message]) == ["E016"]
    assert message.obj is thing
    assert message.msg.endswith(": first, second.")


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (models.BigAutoField, {"sqlite": [], "postgresql": [], "mysql": []}),
        (models.UUIDField, {"sqlite": [], "postgresql": [], "mysql": []}),
        (models.TextField, {"sqlite": [], "postgresql": [], "mysql": ["E017"]}),
        (models.DecimalField, {"sqlite": ["E017"], "postgresql": ["E017"], "mysql": ["E017"]}),
    ],
)
def test_E017(key, expected):
    digits = {"max_digits": 5, "decimal_places": 2} if key is models.DecimalField else {}
    model(id=key(primary_key=True, **digits))

    assert found(check_cached_models()) == expected[connections["default"].vendor]


@pytest.mark.parametrize(
    ("cache", "option"),
    [(django_redis(IGNORE_EXCEPTIONS=True), "IGNORE_EXCEPTIONS"), (memcached(ignore_exc=True), "ignore_exc")],
    ids=["django-redis", "memcached"],
)
def test_E018(cache, option):
    (message,) = check(cache)

    assert found([message]) == ["E018"]
    assert option in message.msg


def test_errors_may_be_ignored_by_the_whole_project():
    model()
    with override_settings(DJANGO_REDIS_IGNORE_EXCEPTIONS=True):
        with override_settings(CACHES={"rows": django_redis()}):
            assert found(check_caches()) == ["E018"]
        with override_settings(CACHES={"rows": django_redis(IGNORE_EXCEPTIONS=False)}):
            assert check_caches() == []


TWO = ["redis://127.0.0.1:6379/0", "redis://127.0.0.1:6380/0"]


@pytest.mark.parametrize(
    "cache",
    [
        django_redis(TWO),
        django_redis(",".join(TWO)),
        django_redis("redis://service/0", **SENTINELS),
        redis(TWO),
        redis(";".join(TWO)),
        memcached(["127.0.0.1:11211", "127.0.0.1:11212"]),
    ],
    ids=["django-redis", "django-redis, text", "sentinels", "Redis", "Redis, text", "memcached"],
)
def test_E019(cache):
    assert found(check(cache)) == ["E019"]


@pytest.mark.parametrize(
    "cache",
    [
        django_redis(TWO, CLIENT_CLASS="django_redis.client.ShardClient"),
        django_redis(TWO[:1]),
        redis(TWO[:1]),
        memcached(["127.0.0.1:11211"]),
    ],
    ids=["shards", "django-redis", "Redis", "memcached"],
)
def test_each_key_on_one_server_is_fine(cache):
    assert check(cache) == []


@pytest.mark.parametrize(
    ("cache", "missing"),
    [
        (memcached(timeout=None), "timeout"),
        (memcached(timeout=None, connect_timeout=None), "timeout, connect_timeout"),
        (redis(socket_timeout=None), "socket_timeout"),
        (redis(socket_timeout=None, socket_connect_timeout=None), "socket_timeout, socket_connect_timeout"),
        (django_redis(CONNECTION_POOL_KWARGS={"socket_timeout": None}, SOCKET_TIMEOUT=None), "SOCKET_TIMEOUT"),
        (django_redis(CONNECTION_POOL_KWARGS={"socket_timeout": 0.2}, SOCKET_TIMEOUT=None), ""),
        (django_redis("redis://127.0.0.1/0?socket_timeout=0.2", SOCKET_TIMEOUT=None), ""),
        (django_redis("unix:///run/redis.sock"), ""),
        (redis("redis://127.0.0.1/0?socket_timeout=0.2"), ""),
    ],
)
def test_W008(cache, missing):
    messages = check(cache)

    assert found(messages) == (["W008"] if missing else [])
    assert all(f"for ever: {missing} not set" in message.msg for message in messages)


@pytest.mark.parametrize(
    ("cache", "expected"),
    [
        (LOCAL, ["W009"]),
        ({**LOCAL, "BACKEND": f"{__name__}.Own"}, ["W009"]),
        (django_redis(), []),
        (memcached(), []),
        ({"BACKEND": "django.core.cache.backends.dummy.DummyCache"}, []),
    ],
    ids=["LocMem", "derived", "Redis", "memcached", "dummy"],
)
def test_W009(cache, expected):
    model()

    with override_settings(CACHES={"rows": cache}):
        assert found(check_processes()) == expected


def test_processes_are_a_matter_of_deployment():
    registered = django_checks.registry.registry

    assert check_processes in registered.deployment_checks
    assert check_processes not in registered.registered_checks
    assert {check_cache_policies, check_cached_models, check_caches} <= registered.registered_checks


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, ["W010"]), ({"MAX_ENTRIES": 300}, ["W010"]), ({"MAX_ENTRIES": 301}, [])],
)
def test_W010(options, expected):
    assert found(check({**LOCAL, "OPTIONS": options})) == expected


@pytest.mark.parametrize("engine", ["django.db.backends", "django_enterprise_repo.db.backends"])
@pytest.mark.parametrize("base", [models.Model, RepositoryModel])
def test_W011(monkeypatch, base, engine):
    thing = model(base=base)
    parked = connections["default"]
    monkeypatch.setitem(
        connections.settings,
        "default",
        {**connections.settings["default"], "ENGINE": f"{engine}.sqlite3", "OPTIONS": {}},
    )
    del connections["default"]
    try:
        messages = check_cached_models()
    finally:
        connections["default"] = parked

    assert found(messages) == (["W011"] if base is models.Model and engine == "django.db.backends" else [])
    assert all(message.obj is thing for message in messages)


class Mine(Repository[Any]):
    def scope(self, queryset):
        return queryset.filter(pk__gt=5)


class Slow(RepositoryQuerySet[Any]):
    def iterator(self, *args, **kwargs):
        return super().iterator(*args, **kwargs)


@pytest.mark.parametrize("repository", [Mine, Repository.from_queryset(Slow)])
def test_W012(repository):
    thing = model(repository=repository)

    (message,) = check_cached_models()

    assert found([message]) == ["W012"]
    assert message.obj is thing


def test_a_repository_beside_the_cached_one_may_be_as_narrow_as_it_likes():
    model(mine=Mine.configured(cache=CachePolicy(alias="rows"))())

    assert check_cached_models() == []


CHECK = """
import json, sys
from django.core.management import execute_from_command_line
from testproject import settings
settings.INSTALLED_APPS.remove("testproject.flights")
settings.ROOT_URLCONF = "django_enterprise_repo.urls"
settings.DATABASES["default"]["ENGINE"] = "django.db.backends.sqlite3"  # the guarded engine connects through pybreaker
execute_from_command_line(["manage.py", "check"])
print(json.dumps(sorted({"msgspec", "pybreaker", "redis", "django_redis"} & sys.modules.keys())))
"""


def test_a_project_that_caches_nothing_imports_nothing_for_it():
    done = subprocess.run(
        [sys.executable, "-c", CHECK],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "testproject.settings"},
    )

    assert json.loads(done.stdout.splitlines()[-1]) == []
