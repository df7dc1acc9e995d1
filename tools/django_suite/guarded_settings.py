"""Django's ``test_sqlite`` settings, of the version that is tested, through the engine of this package."""

from __future__ import annotations

# A module beside runtests.py, which is no part of this project.
from test_sqlite import *  # type: ignore[import-not-found]  # noqa: F403

_SQLITE = {"ENGINE": "django_enterprise_repo.db.backends.sqlite3"}

DATABASES = {"default": dict(_SQLITE), "other": dict(_SQLITE)}
