"""Settings of the benchmarks: the tests' databases, without what only debugging needs."""

from __future__ import annotations

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES as _DATABASES
from tests.settings import PROJECT_APPS, REPO_DATABASE

DEBUG = False

INSTALLED_APPS = PROJECT_APPS

DATABASES = {"default": {**_DATABASES["default"], "TEST": {**_DATABASES["default"].get("TEST", {})}}}
DATABASES["default"]["TEST"]["NAME"] = "bench_enterprise_repo"
if REPO_DATABASE == "sqlite":
    DATABASES["default"]["TEST"]["NAME"] = str(BASE_DIR / ".cache" / "bench.sqlite3")  # noqa: F405
