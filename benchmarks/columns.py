"""The columns of all rows that are measured against each other. Models of them need this package, or do without."""

from __future__ import annotations

from django.db import models


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
