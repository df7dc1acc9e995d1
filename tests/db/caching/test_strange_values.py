"""What others have put under our keys is never believed and never opened, and the row is cached again."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from django.core.cache import caches
from django.db import connection

from django_enterprise_repo.caching.envelope import seal
from django_enterprise_repo.caching.keys import RowKeys, row_keys, table_name
from django_enterprise_repo.caching.store import LOCK, store
from tests.db.caching.conftest import expire_locks, locmem, redis
from tests.testapp.models import Bare, Tag
from tests.unit.caching.bombs import Bomb

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=[locmem, redis])
def cache_settings(request):
    return request.param()


@pytest.fixture
def cache(everything_cached):
    return everything_cached


@pytest.fixture
def rows(cache):
    """Two rows that are in the cache."""
    rows = Bare.objects.add_all([Bare(name=name) for name in "ab"])
    Tag.objects.add(Tag(id=rows[0].pk, label="t"))
    for row in rows:
        Bare.objects.get(row.pk)
    Tag.objects.get(rows[0].pk)
    return rows


@pytest.fixture
def keys(rows) -> RowKeys:
    return row_keys(table_name(Bare, connection), rows[0].pk)


def put(cache: Any, key: str, value: Any) -> None:
    """Write past the serializer, as a stranger does; for ever."""
    client = getattr(cache, "client", None)
    if client is None:
        cache.set(key, value, None)
    else:
        client.get_client(write=True).set(cache.make_key(key), value)


def tags(cache: Any, keys: RowKeys) -> bytes:
    return bytes(cache.get(keys.epoch) + cache.get(keys.generation))


VALUES = {
    "nothing": lambda cache, keys, other: b"",
    "garbage": lambda cache, keys, other: b"\x00\xff" * 40,
    "text": lambda cache, keys, other: "R1 text",
    "a number": lambda cache, keys, other: 12,
    "a pickle": lambda cache, keys, other: pickle.dumps(Bomb()),
    "a sealed pickle": lambda cache, keys, other: seal(keys.value, tags(cache, keys), pickle.dumps(Bomb())),
    "truncated": lambda cache, keys, other: cache.get(keys.value)[:-1],
    "a head": lambda cache, keys, other: cache.get(keys.value)[:10],
    "longer": lambda cache, keys, other: cache.get(keys.value) + b"x",
    "tampered": lambda cache, keys, other: cache.get(keys.value)[:-2] + b"zz",
    "of another row": lambda cache, keys, other: cache.get(other.value),
    "of another model": lambda cache, keys, other: cache.get(row_keys(table_name(Tag, connection), 1).value),
    "of another schema": lambda cache, keys, other: seal(keys.value, tags(cache, keys), b"\x01" * 40),
}


@pytest.mark.parametrize("made", VALUES.values(), ids=VALUES)
def test_a_value_of_somebody_else_is_a_miss(made, cache, rows, keys):
    row, other = rows
    value = made(cache, keys, row_keys(table_name(Bare, connection), other.pk))
    put(cache, keys.value, b"nothing here" if value is None else value)
    before = Bare.objects.cache_info()

    found = [Bare.objects.get(row.pk).name for _ in range(2)]

    after = Bare.objects.cache_info()
    assert found == ["a", "a"]
    assert (after.unreadable - before.unreadable, after.filled - before.filled, after.hit - before.hit) == (1, 1, 1)
    assert Bomb.defuse() == 0
    assert store("cached").breaker.is_closed


TAGS = {
    "nothing": b"",
    "text": "abc",
    "a number": 12,
    "too long": b"x" * 17,
    "a pickle": pickle.dumps(Bomb()),
}


def let_locks_expire(cache: Any, keys: RowKeys) -> None:
    if hasattr(cache, "_cache"):
        expire_locks(cache)
        return
    for key in keys[:2]:
        if cache.get(key) == LOCK:
            assert cache.ttl(key)
            cache.delete(key)


@pytest.mark.parametrize("which", ["epoch", "generation"])
@pytest.mark.parametrize("value", TAGS.values(), ids=TAGS)
def test_garbage_in_the_place_of_a_tag_goes_in_time_and_until_then_the_database_is_read(
    which, value, cache, rows, keys
):
    row, _ = rows
    put(cache, getattr(keys, which), value)

    locked = Bare.objects.cache_info().locked
    assert Bare.objects.get(row.pk).name == "a"
    assert Bare.objects.cache_info().locked == locked + 1
    Bare.objects.filter(pk=row.pk).update(name="c")
    assert Bare.objects.get_many([row.pk])[row.pk].name == "c"
    let_locks_expire(cache, keys)
    hits = Bare.objects.cache_info().hit
    assert [Bare.objects.get(row.pk).name for _ in range(2)] == ["c", "c"]

    assert Bare.objects.cache_info().hit == hits + 1
    assert Bomb.defuse() == 0


def test_a_dict_in_the_place_of_a_tag(cache, rows, keys):
    if not hasattr(cache, "_cache"):
        pytest.skip("Redis carries bytes.")
    put(cache, keys.generation, {"a": 1})
    assert Bare.objects.get(rows[0].pk).name == "a"
    assert cache.get(keys.generation) == LOCK


def test_a_lock_for_ever_ends_with_the_next_write(cache, rows, keys):
    put(cache, keys.generation, LOCK)
    assert Bare.objects.get(rows[0].pk).name == "a"
    assert cache.get(keys.generation) == LOCK

    Bare.objects.clear_cache(rows[0].pk)

    if not hasattr(cache, "_cache"):
        assert 0 < caches["cached"].ttl(keys.generation) <= 30
    let_locks_expire(cache, keys)
    Bare.objects.get(rows[0].pk)
    assert Bare.objects.get(rows[0].pk).name == "a"
    assert isinstance(cache.get(keys.value), bytes)
