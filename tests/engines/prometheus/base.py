"""django-prometheus's engine for PostgreSQL, guarded."""

from __future__ import annotations

from django_prometheus.db.backends.postgresql import base

from django_enterprise_repo.db.guarded import GuardedDatabaseMixin


class DatabaseWrapper(GuardedDatabaseMixin, base.DatabaseWrapper):
    pass
