"""Django's ``test_sqlite`` settings, through the engine of this package."""

from __future__ import annotations

_SQLITE = {"ENGINE": "django_enterprise_repo.db.backends.sqlite3"}

DATABASES = {"default": dict(_SQLITE), "other": dict(_SQLITE)}
SECRET_KEY = "not a secret: only Django's own tests run on it"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = False
