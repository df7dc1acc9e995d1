"""Settings of the tests. ``REPO_DATABASE`` says which database both aliases use, ``REPO_ENGINE=django`` that it is
reached through Django's own engine and not through the package's."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import dj_database_url

from testproject.settings import *  # noqa: F403  # the tests run on the test project
from testproject.settings import CACHES as PROJECT_CACHES
from testproject.settings import INSTALLED_APPS as PROJECT_APPS
from tests.services import MARIADB, POSTGRES, REDIS

# Tests make databases of their own; whatever connects without one finds nothing.
_NOWHERE = str(Path(tempfile.gettempdir(), "test_enterprise_repo_nowhere.sqlite3"))

REPO_DATABASE = os.environ.get("REPO_DATABASE", "sqlite")

REPO_ENGINE = os.environ.get("REPO_ENGINE", "ours")
_ENGINES = "django.db.backends" if REPO_ENGINE == "django" else "django_enterprise_repo.db.backends"
_ENGINE_OF = {"sqlite": "sqlite3", "postgres": "postgresql", "mariadb": "mysql"}


def _databases() -> dict[str, Any]:
    if REPO_DATABASE == "sqlite":
        common: dict[str, Any] = {"NAME": _NOWHERE}
    elif REPO_DATABASE == "postgres":
        common = dict(dj_database_url.parse(POSTGRES.url))
    elif REPO_DATABASE == "mariadb":
        common = dict(dj_database_url.parse(MARIADB.url))
        common["OPTIONS"] = {"charset": "utf8mb4"}
    else:
        raise ValueError(f"REPO_DATABASE={REPO_DATABASE!r} is none of sqlite, postgres, mariadb.")
    common["ENGINE"] = f"{_ENGINES}.{_ENGINE_OF[REPO_DATABASE]}"
    return {alias: {**common, "TEST": _test_database(alias)} for alias in ("default", "other")}


def _test_database(alias: str) -> dict[str, str]:
    # Two runs at the same time need databases of their own.
    name = f"test_enterprise_repo{os.environ.get('REPO_TEST_SUFFIX', '')}_{alias}"
    if REPO_DATABASE == "sqlite":  # in a file: Django never closes a thread's connection to a database in memory
        return {"NAME": str(Path(tempfile.gettempdir(), f"{name}_{os.getpid()}.sqlite3"))}
    return {"NAME": name, "CHARSET": "utf8mb4"} if REPO_DATABASE == "mariadb" else {"NAME": name}


DATABASES = _databases()

INSTALLED_APPS = [*PROJECT_APPS, "django_enterprise_repo.ledger", "tests.testapp"]

CACHES: dict[str, Any] = {**PROJECT_CACHES}
if REDIS.missing() is None:
    CACHES["redis"] = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": REDIS.url}

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
ROOT_URLCONF = "tests.urls"
