"""PostGIS, guarded."""

from __future__ import annotations

from django.contrib.gis.db.backends.postgis import base

from django_enterprise_repo.db.guarded import GuardedDatabaseMixin


class DatabaseWrapper(GuardedDatabaseMixin, base.DatabaseWrapper):
    pass
