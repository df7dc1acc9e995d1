"""What the verbs answer survives a trip through whatever cache a project has."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.core.cache import caches

from django_enterprise_repo import PaginationRequest
from django_enterprise_repo.exceptions import StaleObjectError
from django_enterprise_repo.testing import assert_queries
from tests.testapp.models import Category, Item

pytestmark = pytest.mark.django_db

KEY = "enterprise-repo-tests"


@pytest.fixture(params=sorted(settings.CACHES))
def cache(request):
    cache = caches[request.param]
    cache.delete(KEY)
    yield cache
    cache.delete(KEY)


def test_a_page_and_a_result_come_back_as_they_were(cache):
    office = Category.objects.add(Category(name="office"))
    Item.objects.add_all([Item(name=name, category=office) for name in "abc"])
    page = Item.objects.list({"category": "office"}, pagination=PaginationRequest(limit=2), load=["category"])
    deleted = Item.objects.delete(page[0])

    cache.set(KEY, (page, deleted), 60)
    copied_page, copied_deleted = cache.get(KEY)

    with assert_queries(0):
        assert copied_page == page
        assert [item.category.name for item in copied_page] == ["office", "office"]
    assert (copied_deleted, copied_deleted.operation_id) == (deleted, deleted.operation_id)


def test_a_queryset_comes_back_with_its_rows_and_its_repository(cache):
    Item.objects.add_all([Item(name=name) for name in "ab"])
    rows = Item.objects.where({"name": "a"})

    cache.set(KEY, rows, 60)
    copy = cache.get(KEY)

    with assert_queries(0):
        assert [item.name for item in copy] == ["a"]
    with assert_queries(1):
        assert copy.where({"price": {"gt": 0}}).count() == 1


def test_an_entity_from_a_cache_is_as_stale_as_it_looks(cache):
    item = Item.objects.add(Item(name="a"))
    cache.set(KEY, item, 60)
    Item.objects.update(item, stock=1)

    with pytest.raises(StaleObjectError) as caught:
        Item.objects.update(cache.get(KEY), stock=2)

    assert caught.value.actual == 2
