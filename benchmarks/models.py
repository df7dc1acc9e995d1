"""One table three times: without a history, under simple-history, and with an audit trail."""

from __future__ import annotations

from django.db import models
from simple_history.models import HistoricalRecords

from django_enterprise_repo import AuditTrail, RepositoryModel


class Columns(models.Model):
    name = models.CharField(max_length=50)
    code = models.CharField(max_length=10)
    group = models.IntegerField(db_index=True)
    size = models.IntegerField(default=0)
    price = models.DecimalField(max_digits=10, decimal_places=2, default=1)
    note = models.TextField(default="")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        abstract = True


class Bare(Columns):
    """No history: what an UPDATE costs by itself."""


class Signalled(Columns):
    """What a Django project without this package would do."""

    history = HistoricalRecords()


class Trailed(Columns, RepositoryModel):
    """Audited by the write path."""

    history = AuditTrail()
