"""The rows that are locked are those that change, however somebody has named them."""

from __future__ import annotations

from contextlib import nullcontext
from enum import Enum, IntEnum
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction

from django_enterprise_repo import CachePolicy
from django_enterprise_repo.caching.keys import row_keys
from tests.db.caching.conftest import expire_locks
from tests.testapp.models import Bare, Category, Item, Token

pytestmark = pytest.mark.django_db(transaction=True)


class Code(str, Enum):  # noqa: UP042  # whose str() is its name
    A = "a"


@pytest.fixture
def cached(everything_cached):
    """Have rows in the cache, seen to be answered by it."""

    def put(*entities: Any) -> None:
        expire_locks(everything_cached)
        for entity in entities:
            repository = type(entity).objects
            repository.get(entity.pk)
            hits = repository.cache_info().hit
            repository.get(entity.pk)
            assert repository.cache_info().hit == hits + 1

    return put


@pytest.fixture
def row(cached):
    row = Bare.objects.add(Bare(name="a"))
    cached(row)
    return row


NAMES = {
    "text": str,
    "member": lambda key: IntEnum("Key", {"ONE": key}).ONE,
}


@pytest.mark.parametrize("named", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("block", [nullcontext, transaction.atomic], ids=["autocommit", "transaction"])
def test_a_key_of_another_type_is_the_same_row(named, block, row):
    with block():
        Bare(pk=named(row.pk), name="b").save()

    assert Bare.objects.get(row.pk).name == "b"


@pytest.mark.parametrize("named", NAMES.values(), ids=NAMES)
def test_a_delete_and_a_bulk_update_by_a_key_of_another_type(named, row, cached):
    Bare.objects.bulk_update([Bare(pk=named(row.pk), name="b")], ["name"])
    assert Bare.objects.get(row.pk).name == "b"
    cached(row)

    Bare(pk=named(row.pk)).delete()
    assert Bare.objects.get_or_none(row.pk) is None


def test_a_uuid_in_any_spelling_is_the_same_row(cached):
    row = Token.objects.add(Token())
    assert isinstance(row.pk, UUID)
    cached(row)

    changed = Token.objects.get(row.pk, fresh=True)
    changed.pk = str(row.pk).upper()
    changed.save()

    assert Token.objects.get(row.pk).version == changed.version == row.version + 1


def test_a_text_key_is_what_it_says_and_not_what_it_is_called():
    assert str(Code.A) != "a"
    assert row_keys("table", Code.A) == row_keys("table", "a")


@pytest.fixture
def neighbours(cached):
    """Two items of one category, found by each other's key."""
    category = Category.objects.add(Category(name="c"))
    items = Item.objects.add_all([Item(name=name, category=category) for name in "ab"])
    cached(*items, category)
    return items


def test_a_key_of_a_joined_row_is_not_that_of_the_row_that_changes(neighbours):
    one, _ = neighbours

    Item.objects.filter(category__items=one.pk).update(stock=5)

    assert [Item.objects.get(item.pk).stock for item in neighbours] == [5, 5]


def test_a_delete_by_a_key_of_a_joined_row(neighbours):
    one, _ = neighbours

    Item.objects.filter(category__items=one.pk).delete()

    assert [Item.objects.get_or_none(item.pk) for item in neighbours] == [None, None]


def test_only_the_rows_whose_keys_are_named_are_locked(cached):
    rows = Bare.objects.add_all([Bare(name=name) for name in "abc"])
    cached(*rows)

    Bare.objects.filter(pk__in=[rows[0].pk, str(rows[1].pk)], size=0).update(size=1)

    before = Bare.objects.cache_info()
    assert [Bare.objects.get(row.pk).size for row in rows] == [1, 1, 0]
    after = Bare.objects.cache_info()
    assert (after.locked - before.locked, after.hit - before.hit) == (2, 1)


class TestWhereThatThereIsNoRowIsRemembered:
    @pytest.fixture
    def policy(self):
        return CachePolicy(alias="cached", negative_ttl=60)

    @pytest.fixture
    def missing(self, row, everything_cached):
        """A key without a row, known to be one."""
        expire_locks(everything_cached)
        key = row.pk + 1000
        for _ in range(2):
            assert Bare.objects.get_or_none(key) is None
        assert Bare.objects.cache_info().hit
        return key

    def test_a_row_that_gets_another_key_is_found_under_it(self, row, missing):
        Bare.objects.filter(pk=row.pk).update(id=missing)

        assert Bare.objects.get(missing).name == "a"
        assert Bare.objects.get_or_none(row.pk) is None

    def test_a_new_row_is_found_whatever_its_key_came_as(self, missing):
        Bare(pk=str(missing), name="b").save()

        assert Bare.objects.get(missing).name == "b"
