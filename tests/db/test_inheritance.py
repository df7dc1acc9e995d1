"""Models of several tables, proxies of them, and the set verbs."""

from __future__ import annotations

import pytest

from django_enterprise_repo.exceptions import StaleObjectError
from tests.testapp.models import Animal, Car, Dog, SmallCar, Vehicle

pytestmark = pytest.mark.django_db


def test_set_updates_reach_the_columns_of_every_table():
    cars = Car.objects.add_all([Car(wheels=4, doors=n) for n in (2, 4)])

    assert Car.objects.update_all({"doors": 4}, wheels=3, doors=5) == 1
    changed = Car.objects.get(cars[1].pk)
    assert (changed.wheels, changed.doors, changed.version) == (3, 5, 2)
    assert Vehicle.objects.get(cars[0].pk).version == 1
    with pytest.raises(StaleObjectError):
        Car.objects.update(cars[1], doors=1)


def test_set_deletes_remove_the_rows_of_every_table():
    Car.objects.add_all([Car(doors=n) for n in (2, 4)])

    assert Car.objects.delete_all({"doors": 2}) == 1
    assert (Car.objects.count(), Vehicle.objects.count()) == (1, 1)


def test_the_version_may_be_in_the_child():
    dogs = Dog.objects.add_all([Dog(name=name) for name in "ab"])

    assert Dog.objects.update_all({"name": "a"}, legs=3) == 1
    assert Dog.objects.get(dogs[0].pk).version == 2
    assert Animal.objects.count({"legs": 3}) == 1
    assert Dog.objects.delete_all({"name": {"in": ["a", "b"]}}) == 2
    assert Animal.objects.count() == 0


def test_a_proxy_is_its_model():
    car = SmallCar.objects.add(SmallCar(doors=2))

    assert SmallCar.objects.update(car, doors=3).version == 2
    assert SmallCar.objects.update_all({"doors": 3}, wheels=3) == 1
    assert Car.objects.get(car.pk).version == 3
    with pytest.raises(StaleObjectError):
        SmallCar.objects.delete(car)
    assert SmallCar.objects.delete_all({"wheels": 3}) == 1
    assert Vehicle.objects.count() == 0
