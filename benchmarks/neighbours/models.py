"""The row of a neighbour."""

from __future__ import annotations

import os

from django.conf import settings

from benchmarks.columns import Columns

TABLE = f"neighbour_{os.getpid()}"

if settings.KIND == settings.OURS:
    from django_enterprise_repo import RepositoryModel

    class Row(Columns, RepositoryModel):
        """Cached by nobody, or by its repository."""

        if settings.ACTION == "hit":
            from django_enterprise_repo import CachePolicy, Repository

            objects = Repository.configured(cache=CachePolicy(alias="rows", lock_ttl=settings.LOCK_SECONDS))()

        class Meta:
            db_table = TABLE

else:

    class Row(Columns):  # type: ignore[no-redef]
        """Cached by the neighbour."""

        class Meta:
            db_table = TABLE
