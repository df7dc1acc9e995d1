"""Reading one row through the cache: look there, else read the database and put it there."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, tzinfo
from functools import lru_cache
from typing import Any, NamedTuple

from django.conf import settings
from django.core.signals import setting_changed
from django.db import connections, router
from django.db.models import Model

from ..operations import NOTHING
from ..policies import CachePolicy
from . import protocol
from .codec import RowCodec, Undecodable, Unencodable, row_codec, unsupported_fields
from .compiled import KeyedRead
from .counters import cache_counts
from .envelope import seal, unseal
from .keys import RowKeys, has_exact_keys, row_keys
from .serializers import carries_bytes
from .snapshots import is_current
from .store import Store, store

#: The body of an entry that says that there is no such row.
_ABSENT = b""


class _Plan(NamedTuple):
    """What the reads of one model through one cache have in common."""

    store: Store
    codec: RowCodec
    zone: tzinfo | None


class CachedRead:
    """One row by its key, on its way from the cache or into it.

    It belongs to one call. The tags that it found before the database was asked are what makes its filling safe.
    """

    __slots__ = ("_is_hidden", "_plan", "_policy", "_read", "_tags", "keys")

    def __init__(
        self,
        plan: _Plan,
        policy: CachePolicy,
        read: KeyedRead,
        keys: RowKeys,
        is_hidden: Callable[[Any], bool] | None,
    ) -> None:
        self._plan = plan
        self._policy = policy
        self._read = read
        self.keys = keys
        self._is_hidden = is_hidden
        self._tags: bytes | None = None

    def look_up(self) -> Any:
        """The entity, ``None`` if there is known to be none, or :data:`~django_enterprise_repo.operations.NOTHING`."""
        return self.take(protocol.look_up(self._plan.store, self.keys))

    def take(self, found: protocol.Found) -> Any:
        """What :meth:`look_up` makes of what was found."""
        model = self._read.model
        if found.state == "value":
            try:
                tags, body = unseal(self.keys.value, found.value)
                if tags == found.tags:
                    entity = self._opened(body)
                    cache_counts.count(model, "hit")
                    return entity
                cache_counts.count(model, "miss")
            except Undecodable:
                cache_counts.count(model, "unreadable")
            self._tags = found.tags
        elif found.state == "empty":
            cache_counts.count(model, "miss")
            self._tags = found.tags
        else:
            cache_counts.count(model, found.state)
        return NOTHING

    def fill(self, values: Sequence[Any] | None) -> None:
        """Put what the database has answered since :meth:`look_up` into the cache, if that may be."""
        if self._tags is None:
            return
        if values is None:
            if self._keeps_absence:
                self._put(_ABSENT, self._policy.negative_ttl or 0)
            return
        try:
            body = self._plan.codec.encode(values)
        except Unencodable:
            cache_counts.count(self._read.model, "unfillable")
            return
        self._put(body, self._policy.ttl)

    @property
    def store(self) -> Store:
        return self._plan.store

    @property
    def _keeps_absence(self) -> bool:
        # For who hides deleted rows, a row that isn't seen may be there for others.
        return self._policy.negative_ttl is not None and self._is_hidden is None

    def _opened(self, body: bytes) -> Any:
        if body == _ABSENT:
            return None if self._keeps_absence else NOTHING
        entity = self._read.entity(self._plan.codec.decode(body, self._plan.zone))
        return None if self._is_hidden is not None and self._is_hidden(entity) else entity

    def _put(self, body: bytes, ttl: float) -> None:
        assert self._tags is not None
        spread = 1 + self._policy.jitter * random.uniform(-1, 1)  # noqa: S311  # no secret
        seconds = max(1, round(ttl * spread))
        taken = self._plan.store.write(self.keys.value, seal(self.keys.value, self._tags, body), seconds)
        cache_counts.count(self._read.model, "filled" if taken else "unfillable")


def cached_reads(
    policy: CachePolicy, read: KeyedRead, keys: Sequence[Any], is_hidden: Callable[[Any], bool] | None
) -> list[CachedRead]:
    """The reads of rows through the cache, in the order of their keys; none where they have to go past it."""
    plan = _plan(read.model, policy.alias, read.alias, settings.USE_TZ)
    if plan is None:
        return []
    if not _may_ask(read):
        for _ in keys:
            cache_counts.count(read.model, "bypassed")
        return []
    connection, model = connections[read.alias], _concrete(read.model)
    return [CachedRead(plan, policy, read, row_keys(model, key, connection), is_hidden) for key in keys]


def look_up_all(reads: Sequence[CachedRead]) -> list[Any]:
    """:meth:`CachedRead.look_up` for several rows of one model, in one round trip."""
    found = protocol.look_up_many(reads[0].store, [read.keys for read in reads])
    return [read.take(each) for read, each in zip(reads, found, strict=True)]


def _may_ask(read: KeyedRead) -> bool:
    """Whether the cache may answer what this connection would, and be told what it reads."""
    return read.alias == router.db_for_write(read.model) and is_current(connections[read.alias])


def _concrete(model: type[Model]) -> type[Model]:
    """The model whose table it is; a proxy's rows are cached as its."""
    return model._meta.concrete_model or model


@lru_cache(maxsize=1024)
def _plan(model: type[Model], cache: str, alias: str, use_tz: bool) -> _Plan | None:
    """``None`` where the model or the cache are such that a check has complained: rows are read past the cache."""
    connection = connections[alias]
    if carries_bytes(cache) or unsupported_fields(model) or not has_exact_keys(model, connection.vendor):
        return None
    zone = connection.timezone if use_tz else None
    return _Plan(store(cache), row_codec(_concrete(model)), None if zone in (None, UTC) else zone)


def _setting_changed(*, setting: str, **kwargs: Any) -> None:
    if setting in ("CACHES", "DATABASES"):
        _plan.cache_clear()


setting_changed.connect(_setting_changed, dispatch_uid="enterprise_repo_caching")
