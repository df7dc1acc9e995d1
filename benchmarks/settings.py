"""Settings of the benchmarks: the tests' databases, without what only debugging needs."""

from __future__ import annotations

import os

from tests.services import REDIS
from tests.settings import *  # noqa: F403
from tests.settings import DATABASES as _DATABASES
from tests.settings import PROJECT_APPS, REPO_DATABASE

DEBUG = False

INSTALLED_APPS = [*PROJECT_APPS, "benchmarks"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

DATABASES = {"default": {**_DATABASES["default"], "TEST": {**_DATABASES["default"].get("TEST", {})}}}
DATABASES["default"]["TEST"]["NAME"] = "bench_enterprise_repo"
DATABASES["default"]["TEST"]["MIGRATE"] = False  # the tables as the models say
# The same database through Django's own engine; its name is known when the test database is.
_ENGINE = DATABASES["default"]["ENGINE"].replace("django_enterprise_repo.db.backends", "django.db.backends")
DATABASES["django"] = {**DATABASES["default"], "ENGINE": _ENGINE}
if REPO_DATABASE == "sqlite":
    DATABASES["default"]["TEST"]["NAME"] = str(BASE_DIR / ".cache" / "bench.sqlite3")  # noqa: F405

CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    "local_rows": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "rows"},
    "redis_rows": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS.url,
        "KEY_PREFIX": f"bench_{os.getpid()}",
        "OPTIONS": {"SERIALIZER": "django_enterprise_repo.caching.serializers.BytesSerializer"},
    },
}

#: The other alias is the same database.
ENTERPRISE_REPO = {"HEALTH": {"databases": ["default"]}}
