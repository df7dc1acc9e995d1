"""Optimistic locking, whoever writes."""

from __future__ import annotations

import pickle
import uuid

import pytest
from django.db.models import F

from django_enterprise_repo.exceptions import InvalidArgument, StaleObjectError
from django_enterprise_repo.testing import assert_queries
from tests.testapp.models import Account, Audited, Bare, Car, Dog, Item, SmallCar, Token, Vehicle

pytestmark = pytest.mark.django_db


def stale_pair(model, **values):
    entity = model.objects.add(model(**values))
    return entity, model.objects.get(entity.pk)


@pytest.mark.parametrize(
    ("model", "values", "change"),
    [
        (Item, {"name": "a"}, {"name": "b"}),
        (Audited, {"name": "a"}, {"name": "b"}),
        (Car, {"doors": 3}, {"doors": 5}),
        (Car, {"doors": 3}, {"wheels": 5}),
        (SmallCar, {"doors": 3}, {"doors": 5}),
        (Dog, {"name": "a"}, {"name": "b"}),
        (Dog, {"name": "a"}, {"legs": 3}),
        (Token, {"name": "a"}, {"name": "b"}),
    ],
)
def test_the_second_writer_is_stale(model, values, change):
    first, second = stale_pair(model, **values)
    model.objects.update(first, change)
    before = dict(second.__dict__)

    with pytest.raises(StaleObjectError) as caught:
        model.objects.update(second, change)

    error = caught.value
    assert (error.model, error.pk, error.expected, error.actual) == (model, second.pk, 1, 2)
    assert {**second.__dict__, "_state": None} == {**before, "_state": None}
    assert str(error.pk) not in str(error)
    model.objects.update(first, change)
    assert first.version == 3


def test_save_and_delete_and_restore_compare_too():
    first, second = stale_pair(Item, name="a")
    first.save()

    with pytest.raises(StaleObjectError):
        second.save()
    with pytest.raises(StaleObjectError):
        second.save(update_fields=["name"])
    with pytest.raises(StaleObjectError):
        second.delete()
    with pytest.raises(StaleObjectError):
        Item.objects.delete(second, hard=True)
    assert second.pk is not None

    first.delete()
    third = Item.all_objects.get(first.pk)
    first.restore()
    with pytest.raises(StaleObjectError):
        third.restore()


def test_a_row_that_is_gone_is_never_inserted_again():
    first, second = stale_pair(Item, name="a")
    first.hard_delete()

    with pytest.raises(StaleObjectError) as caught:
        second.save()

    assert caught.value.actual is None
    assert Item.all_objects.count() == 0


def test_an_expected_version_that_travelled():
    item = Item.objects.add(Item(name="a"))

    assert Item.objects.update(item.pk, {"name": "b"}, expected_version=1).version == 2
    with pytest.raises(StaleObjectError):
        Item.objects.update(item.pk, {"name": "c"}, expected_version=1)
    with pytest.raises(StaleObjectError):
        Item.objects.delete(item.pk, expected_version=1)
    assert Item.objects.delete(item.pk, expected_version=2).total == 1
    with pytest.raises(StaleObjectError):
        Item.objects.restore(item.pk, expected_version=2)


def test_expected_version_needs_a_versioned_model():
    bare = Bare.objects.add(Bare(name="a"))
    with pytest.raises(InvalidArgument, match="no version"):
        Bare.objects.update(bare, size=1, expected_version=1)


@pytest.mark.parametrize(
    "write",
    [
        lambda item: Item.objects.filter(pk=item.pk).update(stock=1),
        lambda item: Item.objects.update_all({"id": item.pk}, stock=F("stock") + 1),
        lambda item: Item.objects.bulk_update([Item.objects.get(item.pk)], ["stock"]),
        lambda item: Item.objects.delete_all({"id": item.pk}),
    ],
)
def test_set_writes_make_everybody_stale(write):
    item = Item.objects.add(Item(name="a"))
    write(item)

    with pytest.raises(StaleObjectError):
        item.save()


def test_bulk_update_moves_the_entities_in_hand_on():
    items = Item.objects.add_all([Item(name="a"), Item(name="b")])
    for item in items:
        item.stock = 4

    assert Item.objects.bulk_update(items, ["stock"]) == 2

    for item in items:
        assert item.version == 2
        item.save()


def test_a_multi_table_update_touches_the_owner_of_the_version_first():
    car = Car.objects.add(Car())

    with assert_queries(4) as sent:  # savepoint, parent, child, release
        Car.objects.update(car, doors=5)

    assert "testapp_vehicle" in sent[1]["sql"] and "version" in sent[1]["sql"]
    assert "testapp_car" in sent[2]["sql"]


def test_a_child_table_conflict_rolls_the_parent_back():
    first, second = stale_pair(Dog, name="a")
    Dog.objects.update(first, name="b")

    with pytest.raises(StaleObjectError):
        Dog.objects.update(second, legs=3, name="c")

    assert Dog.objects.get(first.pk).legs == 4


def test_the_parent_of_a_child_is_versioned_as_well():
    car = Car.objects.add(Car())
    vehicle = Vehicle.objects.get(car.pk)
    Vehicle.objects.update(vehicle, wheels=3)

    with pytest.raises(StaleObjectError):
        car.save()


def test_only_brings_the_version_along():
    item = Item.objects.add(Item(name="a"))

    partial = Item.objects.only("name").get(pk=item.pk)

    with assert_queries(1):
        partial.save()
    assert partial.version == 2


def test_a_deferred_version_is_refused_before_anything_is_written():
    item = Item.objects.add(Item(name="a"))
    partial = Item.objects.defer("version").get(pk=item.pk)

    with assert_queries(0), pytest.raises(InvalidArgument, match="version"):
        partial.save(update_fields=["name"])


def test_fixtures_keep_their_versions():
    key = uuid.uuid4()
    Token(pk=key, name="a", version=9).save_base(raw=True)
    assert Token.objects.get(key).version == 9
    Token(pk=key, name="b", version=3).save_base(raw=True)
    assert Token.objects.get(key).version == 3


def test_an_unsaved_entity_with_a_taken_key_is_stale_and_not_an_overwrite():
    item = Item.objects.add(Item(name="a"))
    item.save()

    with pytest.raises(StaleObjectError):
        Item(pk=item.pk, name="impostor").save()
    assert Item(pk=item.pk + 100, name="new").save() is None


def test_the_error_survives_pickling():
    error = StaleObjectError(Item, 4, expected=1, actual=2)
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.model, copy.pk, copy.expected, copy.actual) == (Item, 4, 1, 2)
    assert str(copy) == str(error)


def test_a_later_failure_in_the_same_verb_takes_the_version_back():
    item = Item.objects.add(Item(name="a", sku="1"))
    Item.objects.add(Item(name="b", sku="2"))

    with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
        Item.objects.commit_and_refresh(_renamed(item, "2"))

    assert item.version == 1


def _renamed(item, sku):
    item.sku = sku
    return item


def test_bulk_update_compares_versions_and_moves_only_what_it_reached():
    first, second, gone = Item.objects.add_all([Item(name=name) for name in "abc"])
    Item.objects.delete(gone)
    Item.objects.update(second.pk, stock=5)
    for item in (first, second, gone):
        item.stock = 1

    with pytest.raises(StaleObjectError) as caught:
        Item.objects.bulk_update([first, second], ["stock"])
    assert (caught.value.pk, caught.value.expected, caught.value.actual) == (second.pk, 1, 2)
    assert Item.objects.get(first.pk).stock == 0

    assert Item.objects.bulk_update([first, gone], ["stock"]) == 1
    assert (first.version, gone.version) == (2, 2)
    first.save()
    Item.objects.restore(gone)


def test_bulk_update_stays_inside_its_rows():
    first, second = Account.objects.add_all([Account(name=name, size=n) for n, name in enumerate("ab")])
    first.note = second.note = "x"

    assert Account.objects.filter(size=1).bulk_update([first, second], ["note"]) == 1
    assert [row.note for row in Account.objects.order_by("pk")] == ["", "x"]
    with pytest.raises(ValueError, match="Batch size"):
        Account.objects.bulk_update([second], ["note"], batch_size=-1)
