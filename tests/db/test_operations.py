"""The operation scope, contexts, transactions' ends, and what testing offers to look at them."""

from __future__ import annotations

import asyncio
import threading

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth import get_user_model
from django.db import IntegrityError, connection, transaction

from django_enterprise_repo import current_context, operation_context, operation_finished
from django_enterprise_repo.context import acting_user_id
from django_enterprise_repo.db import hooks
from django_enterprise_repo.exceptions import EmptyPredicate, InvalidArgument, InvalidArgumentType
from django_enterprise_repo.operations import Attempt, OperationSpec, active_operation, run
from django_enterprise_repo.testing import assert_max_queries, assert_queries, capture_operations
from django_enterprise_repo.testing.factories import RepositoryFactory
from tests.testapp.models import Audited, Bare, Category, Item, Plain

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("get_or_none", lambda: Item.objects.get_or_none(1)),
        ("get_many", lambda: Item.objects.get_many([1, 2])),
        ("get_by", lambda: Item.objects.get_by(name="a")),
        ("list", lambda: Item.objects.list(load=("tags",))),
        ("count", lambda: Item.objects.count()),
        ("count", lambda: Item.objects.count({"stock": 1})),
        ("exists", lambda: Item.objects.exists(stock=1)),
        ("iterate", lambda: list(Item.objects.stream())),
        ("select", lambda: list(Item.objects.filter(stock=1))),
        ("select", lambda: Item.objects.order_by("pk").first()),
        ("aggregate", lambda: Item.objects.aggregate()),
        ("in_bulk", lambda: Item.objects.in_bulk([1])),
        ("add", lambda: Item.objects.add(Item(name="a"))),
        ("create", lambda: Item.objects.create(name="a")),
        ("get_or_create", lambda: Item.objects.get_or_create(name="a")),
        ("update_or_create", lambda: Item.objects.update_or_create(name="a")),
        ("add_all", lambda: Item.objects.add_all([Item(name="a")])),
        ("bulk_create", lambda: Item.objects.bulk_create([Item(name="a")])),
        ("update_all", lambda: Item.objects.update_all({"stock": 1}, stock=2)),
        ("update", lambda: Item.objects.filter(stock=1).update(stock=2)),
        ("delete_all", lambda: Item.objects.delete_all({"stock": 1})),
        ("delete", lambda: Item.objects.filter(stock=1).delete()),
        ("restore_all", lambda: Item.objects.restore_all({"stock": 1})),
        ("commit_and_refresh", lambda: Item.objects.commit_and_refresh(Item(name="a"))),
        ("save", lambda: Item(name="a").save()),
        ("add_all", lambda: Audited.objects.add_all([Audited(name="a"), Audited(name="b")])),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_one_verb_is_one_operation(name, call):
    with capture_operations() as log:
        call()
    assert log.names == [name]
    assert log[0].error is None
    assert log[0].duration > 0


def test_failed_operations_say_so():
    with capture_operations() as log:
        with pytest.raises(Item.DoesNotExist):
            Item.objects.get(1)
        with pytest.raises(EmptyPredicate):
            Item.objects.delete_all()
    assert [type(operation.error) for operation in log] == [Item.DoesNotExist], "refused before it began"
    assert "get testapp.Item on default: DoesNotExist" in str(log)
    assert log.of(Bare) == []


def test_one_operation_has_one_id_and_one_moment():
    items = Item.objects.add_all([Item(name=str(n), stock=1) for n in range(3)])
    with capture_operations() as log:
        Item.objects.delete_all({"stock": 1})
    assert {row.deletion_id for row in Item.all_objects.all()} == {log[0].id}
    assert {row.deleted_at for row in Item.all_objects.all()} == {log[0].moment}
    assert len(items) == 3
    assert log[0].id.version == 7


def test_ids_sort_by_time():
    with capture_operations() as log:
        for _ in range(3):
            Item.objects.count()
    ids = [operation.id for operation in log]
    assert len(set(ids)) == 3


def test_a_broken_listener_breaks_nothing():
    def explode(**kwargs):
        raise RuntimeError("listener")

    operation_finished.connect(explode)
    try:
        assert Item.objects.count() == 0
    finally:
        operation_finished.disconnect(explode)


def test_a_call_on_another_thread_is_its_own_operation():
    seen = []

    def body(attempt: Attempt) -> None:
        thread = threading.Thread(target=lambda: seen.append(active_operation("default")))
        thread.start()
        thread.join()
        seen.append(active_operation("default"))

    run(OperationSpec("outer", Item, "default"), body)
    assert seen[0] is None
    assert seen[1].spec.name == "outer"
    assert active_operation("default") is None


def test_a_task_that_outlives_the_operation_does_not_belong_to_it():
    async def scenario():
        late = asyncio.Event()
        found = []

        async def child():
            await late.wait()
            found.append(await sync_to_async(active_operation)("default"))

        def body(attempt):
            return async_to_sync(start)()

        async def start():
            return asyncio.get_running_loop()

        await sync_to_async(run)(OperationSpec("outer", Item, "default"), body)
        task = asyncio.create_task(child())
        late.set()
        await task
        return found

    assert async_to_sync(scenario)() == [None]


def test_an_attempt_undoes_what_it_remembers():
    bare = Bare(name="a")

    def body(attempt: Attempt) -> None:
        attempt.remember(bare)
        bare.name, bare.pk, bare.extra = "b", 5, 1
        bare._state.adding = False
        raise ValueError

    with pytest.raises(ValueError):
        run(OperationSpec("outer", Bare, "default", "write"), body)
    assert (bare.name, bare.pk, bare._state.adding, hasattr(bare, "extra")) == ("a", None, True, False)


# Context.


def test_contexts_nest_and_end():
    user = get_user_model().objects.create(username="ada")
    with operation_context(user=user, reason="outer", correlation_id="1"):
        with operation_context(reason="inner"):
            context = current_context()
            assert (context.user, context.reason, context.correlation_id) == (user, "inner", "1")
        with operation_context(user_id=7):
            assert (current_context().user, current_context().user_id) == (None, 7)
        assert current_context().reason == "outer"
    assert current_context().user is None


def test_a_user_id_is_a_key_or_a_natural_key():
    user = get_user_model().objects.create(username="ada")
    item = Item.objects.add(Item(name="a"))
    Item.objects.delete(item, user_id="ada")
    assert item.deleted_by_id == user.pk
    with operation_context(user_id=str(user.pk)), assert_queries(1):
        assert acting_user_id("default") == user.pk
        assert acting_user_id("default") == user.pk, "looked up once a context"
    other = Item.objects.add(Item(name="b"))
    with pytest.raises(InvalidArgument, match="neither"):
        Item.objects.delete(other, user_id="nobody")
    assert Item.objects.exists(pk=other.pk)


def test_contexts_refuse_nonsense():
    user = get_user_model()(username="unsaved")
    for wrong, error in (
        ({"user": user}, InvalidArgument),
        ({"user": "ada"}, InvalidArgumentType),
        ({"user": user, "user_id": 1}, InvalidArgument),
        ({"reason": 5}, InvalidArgumentType),
        ({"correlation_id": b"x"}, InvalidArgumentType),
    ):
        with pytest.raises(error), operation_context(**wrong):
            pass


def test_an_anonymous_user_is_nobody():
    from django.contrib.auth.models import AnonymousUser

    with operation_context(user=AnonymousUser()):
        assert current_context().user is None


def test_concurrent_tasks_keep_their_users():
    users = [get_user_model().objects.create(username=str(n)) for n in range(4)]
    items = Item.objects.add_all([Item(name=str(n)) for n in range(4)])

    async def delete(user, item):
        with operation_context(user=user):
            await asyncio.sleep(0)
            await Item.objects.adelete(item)

    async def all_of_them():
        await asyncio.gather(*(delete(user, item) for user, item in zip(users, items, strict=True)))

    async_to_sync(all_of_them)()
    assert [Item.all_objects.get(pk=item.pk).deleted_by for item in items] == users


# Async twins.


def test_async_twins():
    async def scenario():
        item = await Item.objects.aadd(Item(name="a"))
        await Item.objects.aadd_all([Item(name="b"), Item(name="c")])
        assert await Item.objects.aget(item.pk) == item
        assert await Item.objects.aget_or_none(0) is None
        assert list(await Item.objects.aget_many([item.pk])) == [item.pk]
        assert await Item.objects.aget_by(name="b") is not None
        assert [row.name for row in await Item.objects.alist(None, ["name:desc"])] == ["c", "b", "a"]
        assert await Item.objects.acount() == 3
        assert await Item.objects.acount({"name": {"in": ["a"]}}) == 1
        assert await Item.objects.aexists(name="c")
        assert [row.name async for row in Item.objects.astream(chunk_size=2)] == ["a", "b", "c"]
        assert [row.name async for row in Item.objects.filter(name="a").aiterator()] == ["a"]
        assert [row.name async for row in Item.objects.filter(name="a")] == ["a"]
        assert (await Item.objects.aupdate(item, stock=4)).stock == 4
        assert await Item.objects.filter(name="b").aupdate(stock=4) == 1
        assert await Item.objects.aupdate_all({"stock": 4}, stock=5) == 2
        await item.arefresh_from_db()
        assert (await Item.objects.adelete(item)).total == 1
        assert (await Item.objects.arestore(item)).total == 1
        assert await Item.objects.adelete_all({"stock": 5}) == 2
        assert await Item.objects.arestore_all({"stock": 5}) == 2
        assert (await Item.objects.acommit_and_refresh(Item(name="d"))).pk
        assert (await Item.objects.filter(name="d").adelete())[0] == 1

    async_to_sync(scenario)()


# The ends of transactions.


class Ends:
    """Hears of commits, which every engine tells of; tests/db/resilience has the rest."""

    def __init__(self):
        self.fates = []

    def statement(self, connection, sql, kind): ...

    def savepoint(self, connection, sid, event): ...

    def before_commit(self, connection): ...

    def finished(self, connection, fate):
        if fate == "committed":
            self.fates.append(fate)


@pytest.fixture
def ends():
    listener = Ends()
    hooks.listen(listener)
    hooks.listen(listener)
    yield listener
    hooks.ignore(listener)
    hooks.ignore(listener)


@pytest.mark.django_db(transaction=True)
def test_commits_are_told_once(ends):
    Bare.objects.add(Bare(name="a"))
    assert ends.fates == ["committed"]

    with transaction.atomic():
        Bare.objects.add(Bare(name="b"))
        Bare.objects.filter(name="b").update(size=3)
        with pytest.raises(IntegrityError):
            Bare.objects.add_all([Bare(name="c"), Bare(name="b")])
        assert ends.fates == ["committed"]
    assert ends.fates == ["committed"] * 2


@pytest.mark.django_db(transaction=True)
def test_a_write_in_a_rolled_back_savepoint_does_not_silence_later_ones(ends):
    with transaction.atomic():
        with pytest.raises(ValueError), transaction.atomic():
            Bare.objects.add(Bare(name="a"))
            raise ValueError
        Bare.objects.add(Bare(name="b"))
    assert ends.fates == ["committed"]

    with pytest.raises(ValueError), transaction.atomic():
        Bare.objects.add(Bare(name="c"))
        raise ValueError
    assert ends.fates == ["committed"]
    Bare.objects.add(Bare(name="d"))
    assert ends.fates == ["committed"] * 2


@pytest.mark.django_db(transaction=True)
def test_in_autocommit_a_refused_bulk_verb_leaves_nothing():
    Bare.objects.add(Bare(name="taken"))
    with pytest.raises(IntegrityError):
        Bare.objects.add_all([Bare(name="a"), Bare(name="taken")], batch_size=1)
    assert Bare.objects.count() == 1
    assert not connection.in_atomic_block


# Testing help.


def test_query_assertions_list_the_statements():
    with pytest.raises(AssertionError, match=r"(?s)Expected 0 statements, 1 were sent:\n1\. SELECT"), assert_queries(0):
        Item.objects.count()
    with pytest.raises(AssertionError, match="at most 0"), assert_max_queries(0):
        Item.objects.count()


class CategoryFactory(RepositoryFactory):
    class Meta:
        model = Category

    name = "office"


class ItemFactory(RepositoryFactory):
    class Meta:
        model = Item
        django_get_or_create = ()

    name = "pen"


def test_the_factory_goes_through_the_repository():
    with capture_operations() as log:
        item = ItemFactory(stock=3)
        assert len(CategoryFactory.create_batch(2)) == 2
    assert log.names == ["add", "add", "add"]
    assert Item.objects.get(item.pk).stock == 3
    assert ItemFactory.build().pk is None


def test_the_factory_needs_a_repository():
    class UserFactory(RepositoryFactory):
        class Meta:
            model = get_user_model()

    with pytest.raises(TypeError, match="no Repository"):
        UserFactory(username="x")
    assert Plain.objects.count() == 0
