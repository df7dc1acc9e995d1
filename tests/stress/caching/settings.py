"""Settings of the processes that put one subject under stress; it is named by the environment."""

from __future__ import annotations

import os
from typing import Any

import dj_database_url

from tests.services import POSTGRES, REDIS
from tests.stress.caching.subjects import CACHE_ALIAS, SUBJECTS

SUBJECT = SUBJECTS[os.environ["REPO_STRESS_SUBJECT"]]
#: Of the database, and before every key in the cache.
NAME = os.environ["REPO_STRESS_NAME"]

SECRET_KEY = "not a secret: this project only ever runs on the machine of a developer"
INSTALLED_APPS = [
    "django.contrib.contenttypes", "django.contrib.auth", "simple_history", *SUBJECT.apps, "tests.stress.caching",
]  # fmt: skip
USE_TZ = True
DATABASES: dict[str, Any] = {
    "default": {**dj_database_url.parse(POSTGRES.url), "NAME": NAME, "ENGINE": SUBJECT.engine},
}
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
    CACHE_ALIAS: {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS.url,
        "KEY_PREFIX": NAME,
        "OPTIONS": {"SERIALIZER": SUBJECT.serializer},
    },
}
for _name, _value in SUBJECT.settings:
    globals()[_name] = _value.format(redis=REDIS.url) if isinstance(_value, str) else _value


def cacheops_prefix(_query: object) -> str:
    return f"{NAME}:"
