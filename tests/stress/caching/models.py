"""Rows with a version that every write raises by one, and the mark of the write that they come from."""

from __future__ import annotations

from django.apps import apps
from django.db import models

from tests.stress.caching.subjects import CACHE_ALIAS, LOCK_TTL, VALUE_TTL


class Columns(models.Model):
    version = models.BigIntegerField(default=0)
    mark = models.BigIntegerField(default=0)
    name = models.CharField(max_length=50)

    class Meta:
        abstract = True


class Row(Columns):
    """Nobody caches it but the subject."""


if apps.is_installed("django_enterprise_repo"):  # others are measured without it
    from django_enterprise_repo import CachePolicy, Repository, RepositoryModel

    class Coherent(RepositoryModel, Columns):
        objects = Repository.configured(cache=CachePolicy(ttl=VALUE_TTL, alias=CACHE_ALIAS, lock_ttl=LOCK_TTL))()
