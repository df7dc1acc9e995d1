"""Verbs on the managers that Django makes for relations: inside them, on their database, beside prefetches."""

from __future__ import annotations

import pytest

from django_enterprise_repo.testing import assert_queries
from tests.testapp.models import Author, Book, Category, Item, Tag

pytestmark = pytest.mark.django_db(databases="__all__")


def test_they_write_where_their_instance_is():
    here = Category.objects.create(name="x")
    there = Category.objects.using("other").create(pk=here.pk, name="x")
    Item.objects.add(Item(name="a", category=here))
    there.items.add_all([Item(name="b"), Item(name="c")])

    assert there.items.update_all({"name": "b"}, stock=9) == 1
    assert there.items.delete_all({"name": "c"}) == 1
    assert [item.stock for item in there.items.list()] == [9]
    assert [item.stock for item in Item.objects.using("default").list()] == [0]
    kept = there.items.list()[0]
    assert there.items.delete(kept.pk).total == 1
    assert Item.objects.using("default").count() == 1


def test_add_all_makes_members_of_every_kind_of_relation():
    office, tag = Category.objects.create(), Tag.objects.create(label="new")

    (item,) = office.items.add_all([Item(name="a")])
    (labelled,) = tag.items.add_all([Item(name="b")])

    assert item.category == office
    assert list(office.items.all()) == [item]
    assert list(tag.items.all()) == [labelled]


def test_a_failed_add_all_leaves_the_entities_outside():
    office = Category.objects.create()
    first, second = Item(name="a", sku="1"), Item(name="b", sku="1")

    with pytest.raises(Exception, match="(?i)unique|duplicate"):
        office.items.add_all([first, second])

    assert (first.pk, first.category_id, first._state.adding) == (None, None, True)


def test_verbs_leave_a_prefetched_relation_as_it_was_loaded():
    author = Author.objects.create(name="x")
    kept, gone = Book.objects.add_all([Book(title=title, author=author) for title in "ab"])
    Book.objects.delete(gone)
    (loaded,) = Author.objects.prefetch_related("books")

    assert loaded.books.list(include_deleted=True) == [kept, gone]
    assert list(loaded.books.only_deleted()) == [gone]
    assert list(loaded.books.with_deleted().order_by("pk")) == [kept, gone]
    loaded.books.update(kept, title="c")
    assert list(loaded.books.filter(title="b")) == []
    with assert_queries(0):
        assert list(loaded.books.all()) == [kept]
