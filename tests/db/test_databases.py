"""Aliases: every verb writes and reads where it is told to."""

from __future__ import annotations

import pytest

from django_enterprise_repo.exceptions import StaleObjectError
from tests.testapp.models import Audited, Item

pytestmark = pytest.mark.django_db(databases=["default", "other"])


def test_every_verb_respects_using():
    item = Item.objects.add(Item(name="a"), using="other")
    assert item._state.db == "other"
    assert Item.objects.count() == 0
    assert Item.objects.using("other").count() == 1

    Item.objects.update(item, stock=3)
    assert Item.objects.get(item.pk, using="other").stock == 3
    Item.objects.update(item.pk, {"stock": 4}, using="other")
    with pytest.raises(StaleObjectError):
        Item.objects.update(item, stock=5)
    item.refresh_from_db()

    Item.objects.delete(item)
    assert Item.objects.list(using="other") == []
    assert Item.objects.restore(item.pk, using="other").total == 1
    assert Item.objects.update_all({"stock": 4}, stock=6, using="other") == 1
    assert Item.objects.delete_all({"stock": 6}, using="other") == 1
    assert Item.objects.restore_all({"stock": 6}, using="other") == 1
    assert [row.stock for row in Item.objects.stream(using="other")] == [6]
    assert Item.objects.get_many([item.pk], using="other") != {}
    assert Item.objects.get_by(stock=6, using="other") == item
    Item.objects.add_all([Item(name="b")], using="other")
    assert Item.objects.db_manager("other").count() == 2
    assert Item.objects.count() == 0


def test_history_is_written_where_the_row_is():
    Audited.objects.add_all([Audited(name="a")], using="other")
    Audited.objects.delete_all({"name": "a"}, using="other")
    assert Audited.history.using("other").count() == 2
    assert Audited.history.using("default").count() == 0


def test_commit_and_refresh_elsewhere():
    item = Item.objects.commit_and_refresh(Item(name="a"), using="other")
    assert item._state.db == "other"
