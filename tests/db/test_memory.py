"""What a failed or partial call leaves of the entities in memory, and what receivers may do with them."""

from __future__ import annotations

import copy
import pickle

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.db.models.signals import post_save

from django_enterprise_repo.exceptions import StaleObjectError
from tests.testapp.models import Animal, Author, Car, Dog, Item, Token, Vehicle

pytestmark = pytest.mark.django_db


def test_a_failed_add_all_of_inherited_tables_forgets_every_key():
    first, second = Dog(name="a"), Dog(name="b", legs=None)
    with pytest.raises(IntegrityError):
        Dog.objects.add_all([first, second])
    assert (first.pk, first.id, first._state.adding) == (None, None, True)

    stranger = Animal.objects.create(legs=100)
    first.save()

    stranger.refresh_from_db()
    assert (stranger.legs, first.pk != stranger.pk) == (100, True)


def test_a_failed_add_all_leaves_automatic_values_unset():
    items = [Item(name="a", sku="1"), Item(name="b", sku="1")]
    with pytest.raises(IntegrityError):
        Item.objects.add_all(items)
    assert {(item.created_at, item.updated_at, item.pk) for item in items} == {(None, None, None)}


def test_a_failed_add_all_knows_which_entities_were_saved_before():
    saved = Token.objects.create(name="a")
    with pytest.raises(IntegrityError):
        Token.objects.add_all([saved])
    saved.name = "b"
    saved.save()
    assert Token.objects.get(saved.pk).name == "b"


def test_children_added_through_the_parents_repository_are_whole():
    (car,) = Vehicle.objects.add_all([Car(doors=5)])
    assert Car.objects.get(car.pk).doors == 5


def test_a_failed_validation_leaves_the_values_as_they_were_given():
    item = Item(name="x" * 60, price="3.5")
    with pytest.raises(ValidationError):
        Item.objects.add(item, validate=True)
    assert item.price == "3.5"


def test_a_partial_refresh_does_not_make_the_other_columns_fresh():
    item = Item.objects.add(Item(name="a", stock=5))
    Item.objects.update(item.pk, stock=7)
    item.refresh_from_db(fields=["name"])
    with pytest.raises(StaleObjectError):
        item.save()
    item.refresh_from_db()
    item.save()
    assert item.stock == 7


def test_a_deferred_column_does_not_make_the_others_fresh():
    stale = Item.objects.defer("price").get(Item.objects.add(Item(name="a")).pk)
    Item.objects.update(stale.pk, stock=7)
    assert stale.price == 1
    with pytest.raises(StaleObjectError):
        stale.save()


def test_an_explicit_refresh_of_the_version_is_obeyed():
    item = Item.objects.add(Item(name="a"))
    Item.objects.update(item.pk, stock=7)
    item.refresh_from_db(fields=["version", "stock"])
    item.save()
    assert item.version == 3


def test_a_late_save_does_not_bring_a_deleted_row_back():
    author = Author.objects.add(Author(name="a"))
    late = Author.objects.get(author.pk)
    Author.objects.delete(author)
    late.name = "b"

    with pytest.raises(StaleObjectError):
        late.save()
    late.save(update_fields=["name"])

    author.refresh_from_db()
    assert (author.name, author.deleted_at is not None, author.deletion_id is not None) == ("b", True, True)


def test_receivers_may_pickle_and_copy_what_was_saved():
    copies = []

    def receive(instance, **kwargs):
        copies.append(pickle.loads(pickle.dumps(instance)))
        copies.append(copy.deepcopy(instance))

    post_save.connect(receive, sender=Item)
    try:
        item = Item.objects.add(Item(name="a"))
        item.save()
    finally:
        post_save.disconnect(receive, sender=Item)

    assert copies == [item] * 4
    copies[-1].stock = 3
    copies[-1].save()
    assert copies[-1].version == 3
