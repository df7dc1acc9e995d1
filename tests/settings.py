"""Settings of the tests. ``REPO_DATABASE`` says which engine both aliases use."""

from __future__ import annotations

import os
from typing import Any

import dj_database_url

from testproject.settings import *  # noqa: F403  # the tests run on the test project
from testproject.settings import INSTALLED_APPS as PROJECT_APPS
from tests.services import MARIADB, POSTGRES, REDIS

REPO_DATABASE = os.environ.get("REPO_DATABASE", "sqlite")


def _databases() -> dict[str, Any]:
    if REPO_DATABASE == "sqlite":
        common: dict[str, Any] = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    elif REPO_DATABASE == "postgres":
        common = dict(dj_database_url.parse(POSTGRES.url))
    elif REPO_DATABASE == "mariadb":
        common = dict(dj_database_url.parse(MARIADB.url))
        common["OPTIONS"] = {"charset": "utf8mb4"}
    else:
        raise ValueError(f"REPO_DATABASE={REPO_DATABASE!r} is none of sqlite, postgres, mariadb.")
    if REPO_DATABASE == "sqlite":
        return {"default": common, "other": dict(common)}
    return {
        alias: {**common, "TEST": {"NAME": f"test_enterprise_repo_{alias}", **_charset()}}
        for alias in ("default", "other")
    }


def _charset() -> dict[str, str]:
    return {"CHARSET": "utf8mb4"} if REPO_DATABASE == "mariadb" else {}


DATABASES = _databases()

INSTALLED_APPS = [*PROJECT_APPS, "tests.testapp"]

CACHES: dict[str, Any] = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
if REDIS.missing() is None:
    CACHES["redis"] = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": REDIS.url}

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
ROOT_URLCONF = "tests.urls"
