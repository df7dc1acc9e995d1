"""Writes that start far from a repository: fixtures, forms of the admin, migrations, a flush."""

from __future__ import annotations

import pytest
from django.core import serializers
from django.core.management import call_command
from django.urls import reverse

from tests.db.caching.conftest import expire_locks
from tests.testapp.models import Category, Item

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("everything_cached")]


@pytest.fixture
def item(everything_cached):
    """A row that the cache has."""
    item = Item.objects.add(Item(name="a"))
    expire_locks(everything_cached)
    Item.objects.get(item.pk)
    hits = Item.objects.cache_info().hit
    assert Item.objects.get(item.pk) == item
    assert Item.objects.cache_info().hit == hits + 1
    return item


def test_loaddata(item, everything_cached):
    item.name = "loaded"
    for loaded in serializers.deserialize("json", serializers.serialize("json", [item])):
        loaded.save()
    assert Item.objects.get(item.pk).name == "loaded"
    expire_locks(everything_cached)
    assert Item.objects.get(item.pk).name == "loaded"


def test_the_admin(item, admin_client, everything_cached):
    change = reverse("admin:testapp_item_change", args=[item.pk])
    form = admin_client.get(change).context["adminform"].form
    data = {name: "" if value is None else value for name, value in form.initial.items()}
    data.update({name: [] for name, value in data.items() if isinstance(value, list)})
    answer = admin_client.post(change, {**data, "name": "edited", **_management_forms(admin_client.get(change))})
    assert answer.status_code == 302, answer.context["errors"]
    assert Item.objects.get(item.pk).name == "edited"


def _management_forms(page):
    return {
        f"{formset.formset.prefix}-{name}": value
        for formset in page.context["inline_admin_formsets"]
        for name, value in formset.formset.management_form.initial.items()
    }


def test_flush(item):
    call_command("flush", interactive=False, verbosity=0)
    assert Item.objects.get_or_none(item.pk) is None


def test_a_foreign_key_that_is_set_to_null(everything_cached):
    category = Category.objects.add(Category(name="c"))
    item = Item.objects.add(Item(name="a", category=category))
    expire_locks(everything_cached)
    assert [Item.objects.get(item.pk).category_id for _ in range(2)] == [category.pk] * 2
    category.delete()
    assert Item.objects.get(item.pk).category_id is None
