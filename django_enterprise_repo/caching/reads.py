"""Reading one row through the cache: look there, else read the database and put it there."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, tzinfo
from typing import Any, Protocol

from django.conf import settings
from django.core.signals import setting_changed
from django.db import router
from django.db.models import Model

from ..operations import NOTHING
from ..policies import CachePolicy
from . import protocol
from .codec import RowCodec, Undecodable, Unencodable, row_codec, unsupported_fields
from .compiled import KeyedRead
from .counters import cache_counts
from .envelope import seal, unseal
from .keys import has_exact_keys, row_keys, table_name
from .serializers import carries_bytes
from .snapshots import is_current
from .store import Store, store

#: The body of an entry that says that there is no such row.
_ABSENT = b""
#: Bytes. memcached refuses more than a mebibyte with an error that says nothing else of its health.
_LARGEST = 1_000_000


class _Marker(Protocol):
    """What tells a row that was deleted and is still there."""

    def is_deleted(self, entity: Any) -> bool: ...


class Door:
    """The way of one repository's rows, on one connection, to their cache."""

    def __init__(self, policy: CachePolicy, read: KeyedRead, marker: _Marker | None) -> None:
        self._era = _era
        self.policy = policy
        self.read = read
        #: Marks rows that this repository does not show.
        self.marker = marker
        self.store = store(policy.alias)
        self.codec = _codec(read, policy.alias)
        self.table = table_name(_concrete(read.model), read.connection)
        zone = read.connection.timezone if settings.USE_TZ else None
        self.zone: tzinfo | None = None if zone is UTC else zone
        #: Whether a cached row may say that there is no row. For who hides deleted rows others may see it.
        self.keeps_absence = policy.negative_ttl is not None and marker is None

    def belongs_to(self, policy: CachePolicy) -> bool:
        """Whether it is still the way for rows with this policy."""
        return self.policy is policy and self._era is _era

    def opens_for(self, number: int) -> bool:
        """Whether so many reads may go through: the cache may answer them, and be told what the database answers.

        Otherwise they are counted as bypassed, except where the rows are such that none is ever cached.
        """
        if self.codec is None:
            return False
        if self.read.alias == router.db_for_write(self.read.model) and is_current(self.read.connection):
            return True
        for _ in range(number):
            cache_counts.count(self.read.model, "bypassed")
        return False

    def reading(self, key: Any) -> CachedRead:
        """The read of one row."""
        return CachedRead(self, key)


class CachedRead:
    """One row by its key, on its way from the cache or into it.

    It belongs to one call. The tags that it found before the database was asked are what makes its filling safe.
    """

    __slots__ = ("_door", "_tags", "keys")

    def __init__(self, door: Door, key: Any) -> None:
        self._door = door
        self._tags: bytes | None = None
        self.keys = row_keys(door.table, key)

    def look_up(self) -> Any:
        """The entity, ``None`` if there is known to be none, or :data:`~django_enterprise_repo.operations.NOTHING`."""
        return self.take(protocol.look_up(self._door.store, self.keys))

    def take(self, found: protocol.Found) -> Any:
        """What :meth:`look_up` makes of what was found."""
        model = self._door.read.model
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
            if self._door.keeps_absence:
                self._put(_ABSENT, self._door.policy.negative_ttl or 0)
            return
        assert self._door.codec is not None
        try:
            body = self._door.codec.encode(values)
        except Unencodable:
            cache_counts.count(self._door.read.model, "unfillable")
            return
        if len(body) > _LARGEST:
            cache_counts.count(self._door.read.model, "unfillable")
            return
        self._put(body, self._door.policy.ttl)

    @property
    def store(self) -> Store:
        return self._door.store

    def _opened(self, body: bytes) -> Any:
        door = self._door
        if body == _ABSENT:
            return None if door.keeps_absence else NOTHING
        assert door.codec is not None
        entity = door.read.entity(door.codec.decode(body, door.zone))
        return None if door.marker is not None and door.marker.is_deleted(entity) else entity

    def _put(self, body: bytes, ttl: float) -> None:
        assert self._tags is not None
        door = self._door
        seconds = max(1, round(ttl * (1 + door.policy.jitter * random.uniform(-1, 1))))  # noqa: S311  # no secret
        taken = door.store.write(self.keys.value, seal(self.keys.value, self._tags, body), seconds)
        cache_counts.count(door.read.model, "filled" if taken else "unfillable")


def look_up_all(reads: Sequence[CachedRead]) -> list[Any]:
    """:meth:`CachedRead.look_up` for several rows of one model, in one round trip."""
    found = protocol.look_up_many(reads[0].store, [read.keys for read in reads])
    return [read.take(each) for read, each in zip(reads, found, strict=True)]


def _concrete(model: type[Model]) -> type[Model]:
    """The model whose table it is; a proxy's rows are cached as its."""
    return model._meta.concrete_model or model


def _codec(read: KeyedRead, cache: str) -> RowCodec | None:
    """``None`` where the model or the cache are such that a check has complained: rows are read past the cache."""
    is_kept_out = (
        carries_bytes(cache) or unsupported_fields(read.model) or not has_exact_keys(read.model, read.connection.vendor)
    )
    return None if is_kept_out else row_codec(_concrete(read.model))


#: Replaced when settings change; what was found out before does not count any more.
_era = object()


def _setting_changed(*, setting: str, **kwargs: Any) -> None:
    global _era
    if setting in ("CACHES", "DATABASES", "TIME_ZONE", "USE_TZ"):
        _era = object()


setting_changed.connect(_setting_changed, dispatch_uid="enterprise_repo_caching")
