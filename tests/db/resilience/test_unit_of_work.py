"""``atomic(retries=…)``: a transaction that is run again as a whole, or not at all."""

from __future__ import annotations

import threading

import pytest
from asgiref.sync import async_to_sync
from django.db import connection, connections, transaction
from django.db.models import F

from django_enterprise_repo.exceptions import (
    InvalidArgument,
    InvalidArgumentType,
    RepositoryDatabaseError,
    SerializationConflict,
)
from django_enterprise_repo.testing import capture_operations
from tests.db.resilience.conftest import deadlock, lost
from tests.testapp.models import Entry, Item, Plain, Token

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)


def test_the_whole_function_is_run_again(failing):
    calls = []

    @Item.objects.atomic(retries=2)
    def work(name, *, stock):
        calls.append(name)
        Item.objects.add(Item(name=name))
        if len(calls) == 1:
            failing.errors = [deadlock()]
        Item.objects.update_all({"name": name}, stock=stock)
        return stock

    with capture_operations() as log:
        assert work("a", stock=3) == 3
    assert calls == ["a", "a"]
    assert list(Item.objects.values_list("name", "stock")) == [("a", 3)]
    assert log.names[-1] == "atomic"
    assert log[-1].attempts == 2


def test_each_verb_inside_is_an_operation_of_its_own():
    def work():
        Item.objects.add(Item(name="a"))
        Item.objects.add(Item(name="b"))

    with capture_operations() as log:
        Item.objects.atomic().run(work)
    assert log.names == ["add", "add", "atomic"]
    assert len({operation.id for operation in log}) == 3


def test_a_connection_that_is_lost_before_the_commit(failing):
    calls = []

    def work():
        calls.append(1)
        Plain.objects.create(name="a")
        if len(calls) == 1:
            failing.errors = [lost()]
        return Plain.objects.count()

    assert Plain.objects.atomic(retries=1).run(work) == 1
    assert len(calls) == 2


@pytest.mark.parametrize("error", [ValueError("no"), Item.DoesNotExist("no")])
def test_what_is_no_failure_of_the_database_is_not_repeated(error):
    calls = []

    def work():
        calls.append(1)
        Item.objects.add(Item(name="a"))
        raise error

    with pytest.raises(type(error)):
        Item.objects.atomic(retries=5).run(work)
    assert calls == [1]
    assert not Item.objects.exists()


def test_retries_end(failing):
    calls = []

    def work():
        calls.append(1)
        failing.errors = [deadlock()]
        Item.objects.count()

    with pytest.raises(RepositoryDatabaseError) as caught:
        Item.objects.atomic(retries=2).run(work)
    assert len(calls) == 3
    assert caught.value.retryable


def test_inside_another_transaction_it_is_a_savepoint(failing):
    calls = []

    def work():
        calls.append(1)
        Item.objects.add(Item(name="b"))
        failing.errors = [deadlock()]
        Item.objects.count()

    with transaction.atomic():
        Item.objects.add(Item(name="a"))
        with pytest.raises(RepositoryDatabaseError):
            Item.objects.atomic(retries=5).run(work)
    assert calls == [1]
    assert [item.name for item in Item.objects.all()] == ["a"]
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        Item.objects.atomic(durable=True).run(work)


def test_a_callback_that_fails_after_the_commit_does_not_repeat_it(failing):
    calls = []

    def ask():
        failing.errors = [deadlock()]
        Item.objects.atomic().run(Item.objects.count)

    def work():
        calls.append(1)
        transaction.on_commit(ask)
        Item.objects.add(Item(name="a"))

    with pytest.raises(RepositoryDatabaseError) as caught:
        Item.objects.atomic(retries=3).run(work)
    assert calls == [1]
    assert caught.value.fate == "unknown"
    assert Item.objects.count() == 1


def test_a_callback_that_writes_does_not_hide_the_commit(failing):
    """The operation in the callback begins an attempt of its own, after which the outer one must still know."""
    calls = []

    def tell():
        Plain.objects.create(name="told")
        failing.errors = [deadlock()]
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")

    def work():
        calls.append(1)
        transaction.on_commit(tell)
        Item.objects.add(Item(name="a"))

    with pytest.raises(RepositoryDatabaseError):
        Item.objects.atomic(retries=3).run(work)
    assert calls == [1]


def test_a_deferred_constraint_is_told_in_our_words():
    if connection.vendor == "mysql":
        pytest.skip("MariaDB knows no deferred constraints")

    def work():
        Entry.objects.filter(pk=Entry.objects.create(account_id=4711).pk).exists()

    with pytest.raises(RepositoryDatabaseError) as caught:
        Entry.objects.atomic(retries=3).run(work)
    assert caught.value.kind == "foreign_key"
    assert caught.value.fate == "not_applied"


def test_what_makes_no_sense_is_refused():
    with pytest.raises(InvalidArgument, match="0 or more"):
        Item.objects.atomic(retries=-1)
    with pytest.raises(InvalidArgument, match="positive number"):
        Item.objects.atomic(deadline=0)

    async def work(): ...

    with pytest.raises(InvalidArgumentType, match="belongs to one thread"):
        Item.objects.atomic()(work)
    with pytest.raises(InvalidArgumentType, match="belongs to one thread"):
        Item.objects.atomic().run(work)
    if connection.vendor != "postgresql":
        with pytest.raises(InvalidArgument, match="PostgreSQL"):
            Item.objects.atomic(verify_commit=True)


def test_async_code():
    def work(name):
        return Token.objects.add(Token(name=name)).name

    assert async_to_sync(Token.objects.atomic(retries=1).arun)(work, "a") == "a"
    assert Token.objects.count() == 1


def test_two_that_deadlock_both_succeed_in_the_end():
    if connection.vendor == "sqlite":
        pytest.skip("SQLite locks files, not rows")
    one, two = Item.objects.add(Item(name="a")), Item.objects.add(Item(name="b"))
    met = threading.Barrier(2)
    errors, attempts = [], []

    def transfer(first, second):
        tried = 0

        def work():
            nonlocal tried
            tried += 1
            Item.objects.filter(pk=first).update(stock=F("stock") + 1)
            if tried == 1:
                met.wait(10)
            Item.objects.filter(pk=second).update(stock=F("stock") + 1)

        try:
            Item.objects.atomic(retries=3).run(work)
        except Exception as error:  # noqa: BLE001  # shown by the assertion
            errors.append(error)
        finally:
            attempts.append(tried)
            connections.close_all()

    threads = [threading.Thread(target=transfer, args=keys) for keys in ((one.pk, two.pk), (two.pk, one.pk))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []
    assert sum(attempts) > 2  # who begins again at once may meet the other one again
    assert sorted(Item.objects.values_list("stock", flat=True)) == [2, 2]


def test_serialization_conflicts(monkeypatch):
    if connection.vendor != "postgresql":
        pytest.skip("PostgreSQL's SERIALIZABLE")
    Item.objects.add(Item(name="a", stock=1))
    tried = []

    def interfere():
        try:
            Item.objects.filter(name="a").update(stock=10)
        finally:
            connections.close_all()

    def work():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        stock = Item.objects.get_by(name="a").stock
        tried.append(stock)
        if len(tried) == 1:
            thread = threading.Thread(target=interfere)
            thread.start()
            thread.join(10)
        Item.objects.filter(name="a").update(stock=stock + 1)

    with pytest.raises(SerializationConflict):
        Item.objects.atomic().run(work)
    tried.clear()
    Item.objects.filter(name="a").update(stock=1)
    Item.objects.atomic(retries=1).run(work)
    assert tried == [1, 10]
    assert Item.objects.get_by(name="a").stock == 11
