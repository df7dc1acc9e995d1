"""Settings of a neighbour: no more than it needs."""

from __future__ import annotations

import os

import dj_database_url

from tests.services import POSTGRES, REDIS

KIND = os.environ["REPO_NEIGHBOUR"]
ACTION = os.environ["REPO_NEIGHBOUR_ACTION"]
OURS = "django_enterprise_repo"
PREFIX = f"bench_{os.getpid()}"
#: For how long our rows are left alone after they were written.
LOCK_SECONDS = 1

SECRET_KEY = "not a secret: this project only ever runs on the machine of a developer"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "simple_history", KIND, "benchmarks.neighbours"]
USE_TZ = True
DATABASES = {
    "default": {
        **dj_database_url.parse(POSTGRES.url),
        "NAME": os.environ["REPO_NEIGHBOUR_DATABASE"],
        "ENGINE": f"{OURS}.db.backends.postgresql" if KIND == OURS else "django.db.backends.postgresql",
    },
}
CACHES = {
    "default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": REDIS.url, "KEY_PREFIX": PREFIX},
    "rows": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS.url,
        "KEY_PREFIX": PREFIX,
        "OPTIONS": {"SERIALIZER": f"{OURS}.caching.serializers.BytesSerializer"},
    },
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHEOPS_REDIS = REDIS.url
CACHEOPS = {"neighbours.row": {"ops": "get", "timeout": 300}}
CACHALOT_TIMEOUT = 300


def CACHEOPS_PREFIX(_query: object) -> str:  # noqa: N802  # a setting
    return f"{PREFIX}:"
