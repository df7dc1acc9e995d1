"""One table several times: without a history, under simple-history, with an audit trail, and cached."""

from __future__ import annotations

from simple_history.models import HistoricalRecords

from django_enterprise_repo import AuditTrail, CachePolicy, Repository, RepositoryModel

from .columns import Columns

LOCK_SECONDS = 1.0


class Bare(Columns):
    """No history: what an UPDATE costs by itself."""


class Signalled(Columns):
    """What a Django project without this package would do."""

    history = HistoricalRecords()


class Trailed(Columns, RepositoryModel):
    """Audited by the write path."""

    history = AuditTrail()


class Cached(Columns, RepositoryModel):
    """In Redis."""

    objects = Repository.configured(cache=CachePolicy(alias="redis_rows", lock_ttl=LOCK_SECONDS))()


class CachedHere(Columns, RepositoryModel):
    """In this process."""

    objects = Repository.configured(cache=CachePolicy(alias="local_rows", lock_ttl=LOCK_SECONDS))()
