"""Repositories whose rows are cached, all of them, in one cache or another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.core.cache import caches

from django_enterprise_repo import CachePolicy, Repository
from django_enterprise_repo.caching import cached, fences
from django_enterprise_repo.caching.counters import cache_counts
from django_enterprise_repo.caching.store import LOCK, store
from django_enterprise_repo.db import hooks
from django_enterprise_repo.writing import path
from tests.needs import need
from tests.services import REDIS

SERIALIZER = "django_enterprise_repo.caching.serializers.BytesSerializer"


def locmem() -> dict[str, Any]:
    return {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "LOCATION": uuid4().hex,
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    }


def redis() -> dict[str, Any]:
    need(REDIS.missing())
    return {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS.url,
        "KEY_PREFIX": f"test-{uuid4().hex}",
        "OPTIONS": {"SERIALIZER": SERIALIZER, "SOCKET_TIMEOUT": 5, "SOCKET_CONNECT_TIMEOUT": 5},
    }


def look_again() -> None:
    """Find out again which models are cached."""
    cached.forget_all()
    path._by_model.clear()
    fences.start()


@pytest.fixture
def cache_settings() -> dict[str, Any]:
    return locmem()


@pytest.fixture
def policy() -> CachePolicy:
    return CachePolicy(alias="cached")


@pytest.fixture
def everything_cached(
    settings: Any, monkeypatch: pytest.MonkeyPatch, cache_settings: Any, policy: CachePolicy
) -> Iterator[Any]:
    """Every repository has a cache policy; answers the cache."""
    listeners = len(hooks.listeners)
    settings.CACHES = {**settings.CACHES, policy.alias: cache_settings}
    monkeypatch.setattr(Repository, "cache", policy)
    store(policy.alias).forget()
    cache_counts.reset()
    look_again()
    yield caches[policy.alias]
    monkeypatch.undo()
    look_again()
    assert len(hooks.listeners) == listeners
    store(policy.alias).forget()


def expire_locks(cache: Any) -> None:
    """Let time pass for the locks in a cache in this process: they go, and nothing else does."""
    prefix = f":{cache.version}:"
    for key in list(cache._cache):
        name = key.removeprefix(cache.key_prefix).removeprefix(prefix)
        if cache.get(name) == LOCK:
            cache.delete(name)
