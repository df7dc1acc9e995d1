"""Row locks between two connections; SQLite has none and ignores them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from django_enterprise_repo.exceptions import InvalidArgument
from tests.testapp.models import Category, Item

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def elsewhere():
    """Run something on a connection of its own and answer its result or its error."""

    def run(body: Callable[[], Any]) -> Any:
        answer: list[Any] = []

        def target() -> None:
            try:
                with transaction.atomic():
                    answer.append(body())
            except Exception as error:  # noqa: BLE001  # the caller looks at it
                answer.append(error)
            finally:
                connection.close()

        thread = threading.Thread(target=target)
        thread.start()
        thread.join(timeout=20)
        assert answer, "it still waits"
        return answer[0]

    return run


def test_a_locked_row_is_told_or_looked_past(elsewhere, vendor):
    if vendor == "sqlite":
        pytest.skip("SQLite locks files, not rows.")
    item = Item.objects.add(Item(name="a"))
    with transaction.atomic():
        Item.objects.get(item.pk, for_update=True)

        told = elsewhere(lambda: Item.objects.get(item.pk, for_update=True, nowait=True))
        passed = elsewhere(lambda: Item.objects.get(item.pk, for_update=True, skip_locked=True))
        none = elsewhere(lambda: Item.objects.get_or_none(item.pk, for_update=True, skip_locked=True))
        read = elsewhere(lambda: Item.objects.get(item.pk))

    assert isinstance(told, DatabaseError)
    assert isinstance(passed, Item.DoesNotExist)
    assert none is None
    assert read == item
    assert elsewhere(lambda: Item.objects.get(item.pk, for_update=True, nowait=True)) == item


def test_two_writers_of_one_version(elsewhere):
    mine = Item.objects.add(Item(name="a"))

    def theirs():
        return Item.objects.update(mine.pk, stock=5)

    assert elsewhere(theirs).version == 2
    with pytest.raises(DatabaseError):
        Item.objects.update(mine, stock=6)
    assert Item.objects.get(mine.pk).stock == 5


def test_how_to_lock_needs_a_lock():
    with pytest.raises(InvalidArgument):
        Item.objects.get(1, nowait=True)


def test_a_lock_needs_a_transaction(vendor):
    if vendor == "sqlite":
        pytest.skip("SQLite locks files, not rows.")
    with pytest.raises(transaction.TransactionManagementError):
        Item.objects.get(1, for_update=True)


def test_a_lock_takes_the_row_and_not_what_is_joined_to_it(elsewhere):
    item = Item.objects.add(Item(name="a", category=Category.objects.create(name="x")))
    with transaction.atomic():
        assert Item.objects.get(item.pk, for_update=True, load=("category",)).category.name == "x"
        if connection.features.has_select_for_update_of:
            assert (
                elsewhere(lambda: Category.objects.get(item.category_id, for_update=True, nowait=True)) == item.category
            )
