"""How the subjects read a row, and what the control does for its cache."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from django.conf import settings
from django.core.cache import caches
from django.db import transaction
from django.db.models import QuerySet

from tests.stress.caching.subjects import CACHE_ALIAS, CONTROL, VALUE_TTL


def by_manager(model: type[Any], pk: int) -> Any:
    """The cache is the model's own business."""
    return model.objects.get(pk=pk)


def by_hand(model: type[Any], pk: int) -> Any:
    """What many projects have in a helper: take it from the cache, or put it there."""
    cache = caches[CACHE_ALIAS]
    row = cache.get(_key(pk))
    if row is None:
        row = QuerySet(model).get(pk=pk)
        cache.set(_key(pk), row, VALUE_TTL)
    return row


def forget_by_hand(pks: Iterable[int]) -> None:
    """What the control does after COMMIT, if there is one."""
    if settings.SUBJECT == CONTROL:
        transaction.on_commit(partial(caches[CACHE_ALIAS].delete_many, [_key(pk) for pk in pks]))


def _key(pk: int) -> str:
    return f"row:{pk}"
