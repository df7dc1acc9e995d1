"""Who, why and which request: every history row says it, and none says it of somebody else."""

from __future__ import annotations

import asyncio
import contextvars
import datetime
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.core.handlers.asgi import ASGIHandler
from django.core.management import BaseCommand, call_command
from django.db import connection, connections
from django.http import HttpResponse, StreamingHttpResponse
from django.test import AsyncClient, Client, override_settings
from django.urls import path
from django.utils.functional import SimpleLazyObject

from django_enterprise_repo import current_context, operation_context
from django_enterprise_repo.context import acting_user
from django_enterprise_repo.exceptions import InvalidArgument, InvalidArgumentType
from django_enterprise_repo.testing import assert_queries
from tests.testapp.models import Account, Audited, AuditedSeat, Bare, Entry, Item, Labelled, Ledger, Tower

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]
in_autocommit = pytest.mark.django_db(transaction=True)

SESSION = "django.contrib.sessions.middleware.SessionMiddleware"
AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"
OURS = "django_enterprise_repo.middleware.OperationContextMiddleware"
SIMPLE_HISTORY = "simple_history.middleware.HistoryRequestMiddleware"

# Ours stands before the one that finds the user, which must not matter.
ours_alone = override_settings(MIDDLEWARE=[OURS, SESSION, AUTHENTICATION])
simple_historys_alone = override_settings(MIDDLEWARE=[SESSION, AUTHENTICATION, SIMPLE_HISTORY])
ours_outside = override_settings(MIDDLEWARE=[OURS, SESSION, AUTHENTICATION, SIMPLE_HISTORY])
ours_inside = override_settings(MIDDLEWARE=[SESSION, AUTHENTICATION, SIMPLE_HISTORY, OURS])


@pytest.fixture
def ada():
    return get_user_model().objects.create(username="ada")


@pytest.fixture
def bob():
    return get_user_model().objects.create(username="bob")


def told(model: Any = Account, **which: Any) -> list[tuple[Any, Any, Any]]:
    """User, reason and correlation id of each history row, in the order they were written."""
    return [
        (
            row.history_user and row.history_user.username,
            row.history_change_reason,
            getattr(row, "history_correlation_id", None),
        )
        for row in model.history.filter(**which).order_by("history_id").select_related("history_user")
    ]


# Views.


def add(request):
    Account.objects.add(Account(name="a"), reason=request.GET.get("reason"))
    return HttpResponse()


async def aadd(request):
    await Account.objects.aadd(Account(name="a"), reason=request.GET.get("reason"))
    return HttpResponse()


def add_plain(request):
    Audited.objects.add(Audited(name="a"))
    Audited.objects.filter(name="a").update(size=1)
    return HttpResponse()


def authenticate(request):
    """As REST frameworks do: the view finds out who it is, after it has written already."""
    Account.objects.add(Account(name="before"))
    request.user = get_user_model().objects.get(username="bob")
    Account.objects.add(Account(name="after"))
    return HttpResponse()


def read(request):
    return HttpResponse(str(Account.objects.count()))


def write_unaudited(request):
    Bare.objects.add(Bare(name="a"))
    return HttpResponse()


def by_hand(request):
    """simple-history's own way of saying who, why and when."""
    moment = datetime.datetime(2001, 2, 3, tzinfo=datetime.UTC)
    carol = get_user_model().objects.get(username="carol")
    for model in (Account, Audited, Ledger):
        entity = model(**{"text" if model is Ledger else "name": "a"})
        entity._history_user, entity._change_reason, entity._history_date = carol, "by hand", moment
        model.objects.add(entity, reason="of the verb")
        entity.save()
        (model.objects.delete if model is Ledger else type(entity).hard_delete)(entity)
    several = [Entry(text="told"), Entry(text="untold")]
    several[0]._history_user, several[0]._change_reason, several[0]._history_date = carol, "by hand", moment
    Entry.objects.add_all(several)
    nobody = Account(name="b")
    nobody._history_user = None
    nobody.save()
    return HttpResponse()


def stream(request):
    def body():
        for name in "ab":
            Account.objects.add(Account(name=name))
            yield name
        with operation_context(reason="in the stream"):
            Account.objects.add(Account(name="c"))
            yield "c"
            Account.objects.filter(name="c").update(size=1)

    return StreamingHttpResponse(body())


async def astream(request):
    async def body():
        for name in "ab":
            await Account.objects.aadd(Account(name=name))
            yield name
        async with operation_context(reason="in the stream"):
            await Account.objects.aadd(Account(name="c"))
            yield "c"
            await Account.objects.filter(name="c").aupdate(size=1)

    return StreamingHttpResponse(body())


def busy(request):
    """Four changes of a row whose name says who makes them, with single and set verbs and a plain save."""
    name = request.GET["name"]
    with operation_context(reason=f"reason of {name}"):
        account = Account.objects.add(Account(name=name))
        Account.objects.filter(name=name).update(note="x")
        account.size = 2
        account.version += 1
        account.save()
        Account.objects.update_all({"name": name}, size=3)
    return HttpResponse(current_context().correlation_id)


async def abusy(request):
    """The same, giving way to others in between."""
    name = request.GET["name"]
    async with operation_context(reason=f"reason of {name}"):
        await asyncio.sleep(0.001)
        account = await Account.objects.aadd(Account(name=name))
        await asyncio.sleep(0)
        await Account.objects.filter(name=name).aupdate(note="x")
        await asyncio.sleep(0.002)
        account.size = 2
        account.version += 1
        await account.asave()
        await asyncio.sleep(0)
        await Account.objects.aupdate_all({"name": name}, size=3)
    return HttpResponse(current_context().correlation_id)


urlpatterns = [
    path("add", add),
    path("aadd", aadd),
    path("add_plain", add_plain),
    path("authenticate", authenticate),
    path("read", read),
    path("write_unaudited", write_unaudited),
    path("by_hand", by_hand),
    path("stream", stream),
    path("astream", astream),
    path("busy", busy),
    path("abusy", abusy),
]


# Blocks.


def test_a_block_attributes_what_is_inside_and_nested_ones_what_they_say(ada, bob):
    with operation_context(user=ada, reason="outer", correlation_id="req-1"):
        Account.objects.add(Account(name="a"))
        with operation_context(reason="inner"):
            Account.objects.add(Account(name="b"))
            with operation_context(user=bob):
                Account.objects.add(Account(name="c"))
                Account.objects.add(Account(name="d"), reason="the verb's own")
        Account.objects.add(Account(name="e"))
    Account.objects.add(Account(name="f"))

    assert told() == [
        ("ada", "outer", "req-1"),
        ("ada", "inner", "req-1"),
        ("bob", "inner", "req-1"),
        ("bob", "the verb's own", "req-1"),
        ("ada", "outer", "req-1"),
        (None, None, None),
    ]


def test_an_async_block(ada):
    async def scenario():
        async with operation_context(user=ada, reason="outer"):
            await Account.objects.aadd(Account(name="a"))
            async with operation_context(reason="inner"):
                await sync_to_async(Account(name="b").save)()
        await Account.objects.aadd(Account(name="c"))

    async_to_sync(scenario)()

    assert told() == [("ada", "outer", None), ("ada", "inner", None), (None, None, None)]


def test_a_block_that_fails_ends_too(ada):
    with pytest.raises(LookupError), operation_context(user=ada):
        raise LookupError
    assert current_context().user is None


def test_a_decorated_function(ada):
    @operation_context(reason="import")
    def add(name, depth=0):
        """Adds."""
        if depth:
            add(name + "x", depth - 1)
        with operation_context(user=ada):
            return Account.objects.add(Account(name=name))

    account = add("a", depth=2)

    assert (add.__name__, add.__doc__, account.name) == ("add", "Adds.", "a")
    assert told() == [("ada", "import", None)] * 3
    assert current_context().reason is None


def test_a_decorated_coroutine_may_run_many_times_at_once(ada, bob):
    @operation_context(reason="import")
    async def add(user, name):
        async with operation_context(user=user):
            await asyncio.sleep(0)
            await Account.objects.aadd(Account(name=name))
            await asyncio.sleep(0)
            return current_context().reason

    async def scenario():
        return await asyncio.gather(*(add((ada, bob)[n % 2], f"{('ada', 'bob')[n % 2]} {n}") for n in range(10)))

    assert async_to_sync(scenario)() == ["import"] * 10
    assert [told(name=account.name) for account in Account.objects.all()] == [
        [(account.name.split()[0], "import", None)] for account in Account.objects.all()
    ]


def test_one_block_may_be_entered_many_times_at_once(ada):
    block = operation_context(user=ada, correlation_id="req-1")

    async def add(name):
        async with block, operation_context(reason=name):
            await asyncio.sleep(0)
            with block:
                await Account.objects.aadd(Account(name=name))
            await asyncio.sleep(0)
        assert current_context().user is None

    async def scenario():
        await asyncio.gather(*map(add, "abcdef"))

    async_to_sync(scenario)()

    assert sorted(told()) == [("ada", name, "req-1") for name in "abcdef"]


@pytest.mark.parametrize("kind", ["generator", "async generator"])
def test_a_generator_is_not_decorated_as_its_body_would_run_after_the_block(kind):
    def steps():
        yield

    async def async_steps():
        yield

    with pytest.raises(InvalidArgumentType, match="generators"):
        operation_context(reason="x")(steps if kind == "generator" else async_steps)


def test_a_generator_left_off_inside_a_block_does_not_keep_it_open(ada, bob):
    def steps():
        with operation_context(user=bob):
            yield

    left_off = steps()
    with operation_context(user=ada):
        next(left_off)
    assert current_context().user is None
    left_off.close()
    assert current_context().user is None


def test_a_block_may_be_opened_and_closed_on_different_hops_to_the_thread(ada):
    """As a middleware with ``process_request`` and ``process_response`` does under an async handler."""
    inner = operation_context(user=ada)

    def explode():
        raise AssertionError("nobody asked for this user")

    async def scenario():
        async with operation_context(user=SimpleLazyObject(explode)):
            await sync_to_async(inner.__enter__)()
            await Account.objects.aadd(Account(name="a"))
            await sync_to_async(inner.__exit__)(None, None, None)
            assert current_context().user is not ada
        assert current_context().user is None

    async_to_sync(scenario)()

    assert told() == [("ada", None, None)]


# Threads.


def in_thread(call: Any) -> None:
    def work():
        try:
            call()
        finally:
            connections.close_all()

    thread = threading.Thread(target=work)  # pytest makes a test fail for an error in a thread
    thread.start()
    thread.join()


@in_autocommit
def test_a_new_thread_starts_without_a_context_and_may_be_handed_one(ada):
    def add(name):
        Account.objects.add(Account(name=name))

    with operation_context(user=ada, reason="import", correlation_id="req-1"):
        in_thread(lambda: add("alone"))

        outer = current_context()

        def with_context():
            with operation_context(outer, reason="in a thread"):
                add("handed on")

        in_thread(with_context)
        copied = contextvars.copy_context()
        in_thread(lambda: copied.run(add, "copied"))
        assert current_context() is outer

    assert told() == [(None, None, None), ("ada", "in a thread", "req-1"), ("ada", "import", "req-1")]


@in_autocommit
def test_threads_may_share_a_block(ada):
    block = operation_context(user=ada, correlation_id="req-1")
    together = threading.Barrier(4)

    def add(name):
        try:
            with block:
                together.wait(10)
                Account.objects.add(Account(name=name), reason=name)
                together.wait(10)
            return current_context().user
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(add, "abcd")) == [None] * 4

    assert sorted(told()) == [("ada", name, "req-1") for name in "abcd"]


# Commands.


class Import(BaseCommand):
    @operation_context(user_id="ada", reason="nightly import")
    def handle(self, *args: Any, **options: Any) -> None:
        Account.objects.add_all([Account(name=name) for name in "ab"])


def test_a_management_command(ada):
    with operation_context(correlation_id="job-7"):
        call_command(Import())
    Account.objects.filter(name="a").update(size=1)

    assert told() == [("ada", "nightly import", "job-7")] * 2 + [(None, None, None)]


# user_id.


@pytest.mark.parametrize(
    "key",
    [lambda user: user.pk, lambda user: str(user.pk), lambda user: "ada", lambda user: user.natural_key()],
    ids=["key", "key as text", "natural key", "natural key as Django gives it"],
)
def test_a_user_id_is_a_key_or_a_natural_key(ada, key):
    with operation_context(user_id=key(ada)):
        account = Account.objects.add(Account(name="a"))
    Account.objects.update(account, size=1, user_id=key(ada))
    Account.objects.update_all({"name": "a"}, size=2, user_id=key(ada))

    assert [user for user, *_ in told()] == ["ada"] * 3


UNKNOWN = {
    "no such key": 2**40,
    "beyond every key": 2**70,
    "no such name": "nobody",
    "digits": "9" * 50,
    "NUL": "a\x00b",
    "bytes": b"ada",
    "no parts": (),
    "too many parts": ("ada", "bob"),
    "something else": object(),
}

SINGLE = {
    Account: {"name": "a"},
    Audited: {"name": "a"},
    AuditedSeat: {"row": "A", "number": 1},
    Labelled: {"name": "a"},
    Tower: {"address": "a"},
}


@pytest.mark.parametrize("user_id", UNKNOWN.values(), ids=UNKNOWN)
def test_what_is_no_user_is_an_error(ada, user_id):
    with pytest.raises(InvalidArgument, match="neither a primary key nor a natural key"):
        Account.objects.add(Account(name="a"), user_id=user_id)
    assert (Account.objects.count(), Account.history.count()) == (0, 0)


@in_autocommit
def test_an_unknown_user_is_an_error_before_anything_is_written(ada):
    account = Account.objects.add(Account(name="there"))
    told_before = told()
    changed = Account.objects.get(account.pk)
    changed.size = 5

    for write in (
        lambda: Account.objects.add(Account(name="a"), user_id="nobody"),
        lambda: Account.objects.update(account, size=5, user_id="nobody"),
        lambda: Account.objects.delete(account, user_id="nobody"),
        lambda: Account.objects.delete(account, hard=True, user_id="nobody"),
        lambda: Account.objects.add_all([Account(name="a"), Account(name="b")], user_id="nobody"),
        lambda: Account.objects.update_all({"name": "there"}, size=5, user_id="nobody"),
        lambda: Account.objects.delete_all({"name": "there"}, user_id="nobody"),
        lambda: Account.objects.delete_all({"name": "there"}, hard=True, user_id="nobody"),
        operation_context(user_id="nobody")(changed.save),
        operation_context(user_id="nobody")(changed.delete),
        operation_context(user_id="nobody")(Account(name="a").save),
        operation_context(user_id="nobody")(lambda: Account.objects.filter(name="there").update(size=5)),
        operation_context(user_id="nobody")(lambda: Account.objects.filter(name="there").delete()),
        operation_context(user_id="nobody")(lambda: Account.objects.bulk_create([Account(name="a")])),
    ):
        with pytest.raises(InvalidArgument):
            write()
    assert list(Account.all_objects.values_list("name", "size", "deleted_at")) == [("there", 0, None)]
    assert told() == told_before


@in_autocommit
def test_an_unknown_user_leaves_no_row_of_any_model(ada):
    for model, values in SINGLE.items():
        for write in (lambda it: it.save(), model.objects.add, lambda it: model.objects.add_all([it])):  # noqa: B023
            with pytest.raises(InvalidArgument), operation_context(user_id="nobody"):
                write(model(**values))
        assert (model._base_manager.count(), model.history.count()) == (0, 0)


def test_an_unknown_user_of_a_manager_alone_is_an_error_of_its_verbs(ada):
    for write in (
        lambda: Ledger.objects.add(Ledger()),
        lambda: Ledger.objects.add_all([Ledger()]),
    ):
        with pytest.raises(InvalidArgument), operation_context(user_id="nobody"):
            write()
    assert (Ledger.objects.count(), Ledger.history.count()) == (0, 0)


def test_a_user_who_is_recorded_nowhere_is_not_looked_up():
    with assert_queries(1):
        Bare.objects.add(Bare(name="a"), user_id="nobody")
    item = Item.objects.add(Item(name="a"))
    with pytest.raises(InvalidArgument):
        Item.objects.delete(item, user_id="nobody")
    assert Item.objects.exists(pk=item.pk)


def test_a_user_id_is_looked_up_once_a_context(ada):
    with operation_context(user_id="ada"):
        Account.objects.add(Account(name="a"))
        assert acting_user("default") == ada
        with assert_queries(0):
            acting_user("default")


# Lazy users and nobody.


@pytest.mark.parametrize(
    "nobody",
    [AnonymousUser(), SimpleLazyObject(AnonymousUser), SimpleLazyObject(lambda: SimpleLazyObject(AnonymousUser))],
    ids=["anonymous", "lazy", "lazier"],
)
def test_an_anonymous_user_is_nobody(nobody):
    for _ in range(2):  # asleep, then awake
        with operation_context(user=nobody):
            Account.objects.add_all([Account(name="a")])
            Account.objects.delete_all({"name": "a"}, hard=True)
            Item.objects.delete(Item.objects.add(Item(name="a")))

    assert told() == [(None, None, None)] * 4
    assert {item.deleted_by for item in Item.all_objects.all()} == {None}


def test_a_lazy_user_is_woken_by_the_first_record(ada):
    woken = []

    def wake():
        woken.append(1)
        return ada

    with operation_context(user=SimpleLazyObject(wake)):
        Bare.objects.add(Bare(name="a"))
        assert Account.objects.count() == 0
        assert woken == []
        Account.objects.add(Account(name="a"))
        Account.objects.filter(name="a").update(size=1)
    assert woken == [1]
    assert told() == [("ada", None, None)] * 2


def test_a_lazy_stand_in_for_no_user_is_an_error_before_the_write():
    with pytest.raises(InvalidArgumentType, match="not str"), operation_context(user=SimpleLazyObject(lambda: "ada")):
        Account.objects.add(Account(name="a"))
    with pytest.raises(InvalidArgument, match="saved"), operation_context(user=SimpleLazyObject(get_user_model())):
        Account.objects.add(Account(name="a"))
    assert Account.objects.count() == 0


# Reasons.


def test_a_trail_keeps_a_reason_of_any_length_and_a_plain_history_what_fits(ada):
    reason = "Σ" * 10_000

    with operation_context(reason=reason):
        account, audited = Account.objects.add(Account(name="a")), Audited.objects.add(Audited(name="a"))
        for model, entity in ((Account, account), (Audited, audited)):
            model.objects.update_all({"name": "a"}, size=1)
            entity.refresh_from_db()
            model.objects.delete(entity, hard=True)

    assert [kept for _, kept, _ in told()] == [reason] * 3
    assert [kept for _, kept, _ in told(Audited)] == ["Σ" * 99 + "…"] * 3


@pytest.mark.parametrize("length", [0, 1, 99, 100])
def test_a_reason_that_fits_is_not_touched(length):
    Audited.objects.add(Audited(name="a"), reason="x" * length)

    assert told(Audited) == [(None, "x" * length, None)]


# Requests.


@pytest.mark.parametrize("middleware", [ours_alone, ours_outside, ours_inside], ids=["alone", "outside", "inside"])
def test_a_request_has_its_user_and_its_id_wherever_the_middleware_stands(client, ada, middleware):
    client.force_login(ada)
    with middleware:
        response = client.get("/add?reason=asked", headers={"X-Request-ID": "req-7"})

    assert told() == [("ada", "asked", "req-7")]
    assert response["X-Request-ID"] == "req-7"


@ours_alone
def test_an_async_request_has_them_too(ada):
    async def scenario():
        client = AsyncClient()
        await client.aforce_login(ada)
        return await client.get("/aadd?reason=asked", headers={"X-Request-ID": "req-7"})

    response = async_to_sync(scenario)()

    assert told() == [("ada", "asked", "req-7")]
    assert response["X-Request-ID"] == "req-7"


@ours_alone
def test_an_id_that_is_made_is_in_the_history_and_in_the_response(client, ada):
    client.force_login(ada)

    response = client.get("/add", headers={"X-Request-ID": "not well-formed"})

    assert told() == [("ada", None, response["X-Request-ID"])]


@ours_alone
def test_an_anonymous_request_has_an_id_and_no_user(client):
    client.get("/add", headers={"X-Request-ID": "req-7"})

    assert told() == [(None, None, "req-7")]


@ours_alone
@pytest.mark.parametrize("logged_in", [False, True])
def test_a_view_that_authenticates_by_itself_counts_from_there(client, ada, bob, logged_in):
    if logged_in:
        client.force_login(ada)
    client.get("/authenticate")

    assert [user for user, *_ in told()] == ["ada" if logged_in else None, "bob"]


@ours_alone
def test_a_request_that_records_nothing_asks_nobody_who_it_is(client, ada):
    client.force_login(ada)
    with assert_queries(1):
        client.get("/read")
    with assert_queries(1):
        client.get("/write_unaudited")


def by_header(request):
    return get_user_model().objects.filter(username=request.headers.get("X-User", "")).first()


@ours_alone
@override_settings(ENTERPRISE_REPO={"GET_USER": f"{__name__}.by_header", "CORRELATION_HEADER": "X-Correlation"})
def test_settings_say_who_acts_and_which_header_counts(client, ada, bob):
    client.force_login(ada)
    headers = {"X-User": "bob", "X-Correlation": "mine", "X-Request-ID": "not mine"}

    response = client.get("/add", headers=headers)

    assert told() == [("bob", None, "mine")]
    assert response["X-Correlation"] == "mine"
    assert "X-Request-ID" not in response


@ours_alone
def test_a_plain_history_gets_user_and_reason_too(client, ada):
    client.force_login(ada)
    client.get("/add_plain")

    assert told(Audited) == [("ada", None, None)] * 2


# Streams.


@ours_alone
def test_a_stream_that_writes_is_attributed(client, ada):
    client.force_login(ada)
    response = client.get("/stream", headers={"X-Request-ID": "req-7"})
    assert Account.objects.count() == 0, "nothing is written before the stream is read"

    assert b"".join(response).decode() == "abc"

    plain, inside = ("ada", None, "req-7"), ("ada", "in the stream", "req-7")
    assert told() == [plain, plain, inside, inside]


@ours_alone
def test_an_async_stream_that_writes_is_attributed(ada):
    async def scenario():
        client = AsyncClient()
        await client.aforce_login(ada)
        response = await client.get("/astream", headers={"X-Request-ID": "req-7"})
        return b"".join([part async for part in response])

    assert async_to_sync(scenario)() == b"abc"
    plain, inside = ("ada", None, "req-7"), ("ada", "in the stream", "req-7")
    assert told() == [plain, plain, inside, inside]


# Beside simple-history.


@simple_historys_alone
@pytest.mark.parametrize("address", ["/add", "/add_plain"])
def test_simple_historys_middleware_alone_tells_the_user(client, ada, address):
    client.force_login(ada)
    client.get(address)

    assert {user for model in (Account, Audited) for user, *_ in told(model)} == {"ada"}


@simple_historys_alone
def test_simple_historys_middleware_alone_tells_the_user_of_an_async_view(ada):
    async def scenario():
        client = AsyncClient()
        await client.aforce_login(ada)
        await client.get("/aadd")

    async_to_sync(scenario)()

    assert told() == [("ada", None, None)]


def bob_acts(request):
    return get_user_model().objects.get(username="bob")


@pytest.mark.parametrize("middleware", [ours_outside, ours_inside], ids=["outside", "inside"])
@pytest.mark.parametrize("address", ["/add", "/add_plain"])
def test_with_both_ours_wins(client, ada, bob, middleware, address):
    client.force_login(ada)
    with middleware, override_settings(ENTERPRISE_REPO={"GET_USER": bob_acts}):
        client.get(address)

    assert {user for model in (Account, Audited) for user, *_ in told(model)} == {"bob"}


@pytest.mark.parametrize(
    "middleware",
    [ours_alone, simple_historys_alone, ours_outside, ours_inside],
    ids=["ours", "theirs", "both", "inside"],
)
def test_what_an_instance_says_wins_over_every_middleware(client, ada, middleware):
    get_user_model().objects.create(username="carol")
    client.force_login(ada)
    with middleware:
        client.get("/by_hand")

    for model, which in ((Account, {"name": "a"}), (Audited, {}), (Ledger, {}), (Entry, {"text": "told"})):
        rows = model.history.filter(**which)
        assert len(rows) == (1 if model is Entry else 3)
        assert {row.history_user.username for row in rows} == {"carol"}
        assert {row.history_change_reason for row in rows} == {"by hand"}
        assert {row.history_date.year for row in rows} == {2001}
    (untold,) = Entry.history.filter(text="untold")
    assert (untold.history_user, untold.history_change_reason) == (ada, None)
    assert untold.history_date.year > 2001
    assert Account.history.get(name="b").history_user is None, "None by hand is nobody"


# Many at once.

REQUESTS = 60


@pytest.fixture
def requests():
    """Name of the row that each request makes, which begins with its user, with its session and its headers."""
    planned = []
    for user in ("u0", "u1", "u2", "u3", "u4"):
        client = Client()
        client.force_login(get_user_model().objects.create(username=user))
        session = client.cookies[settings.SESSION_COOKIE_NAME].value
        for n in range(REQUESTS // 5):
            headers = {"X-Request-ID": f"{user}/{n}"} if n % 3 else {}
            planned.append((f"{user}-{n}", session, headers))
    return planned[::5] + planned[1::5] + planned[2::5] + planned[3::5] + planned[4::5]  # users by turns


def assert_nothing_mixed(requests: Any, ids: list[str]) -> None:
    assert len(set(ids)) == REQUESTS
    for (name, _, headers), correlation_id in zip(requests, ids, strict=True):
        assert headers.get("X-Request-ID", correlation_id) == correlation_id
        assert told(name=name) == [(name.split("-")[0], f"reason of {name}", correlation_id)] * 4
    assert Account.history.count() == REQUESTS * 4


@ours_alone
@pytest.mark.parametrize("address", ["/abusy", "/busy"])
def test_concurrent_async_requests_never_mix(requests, address):
    async def ask(name, session, headers):
        client = AsyncClient()
        client.cookies[settings.SESSION_COOKIE_NAME] = session
        return (await client.get(f"{address}?name={name}", headers=headers))["X-Request-ID"]

    async def scenario():
        return await asyncio.gather(*(ask(*request) for request in requests))

    assert_nothing_mixed(requests, async_to_sync(scenario)())


@in_autocommit
@ours_alone
@pytest.mark.parametrize("address", ["/abusy", "/busy"])
def test_concurrent_requests_to_an_asgi_server_never_mix(requests, address):
    """Django's own ASGI application, each request with a thread and a connection of its own."""
    application = ASGIHandler()

    async def ask(name, session, headers, turn):
        headers = {**headers, "Cookie": f"{settings.SESSION_COOKIE_NAME}={session}"}
        scope = {
            "type": "http",
            "method": "GET",
            "path": address,
            "query_string": f"name={name}".encode(),
            "headers": [(key.lower().encode(), value.encode()) for key, value in headers.items()],
            "server": ("testserver", "80"),
        }
        async with turn:  # no more connections at once than a small server has
            communicator = ApplicationCommunicator(application, scope)
            await communicator.send_input({"type": "http.request", "body": b""})
            start = await communicator.receive_output(60)
            body = await communicator.receive_output(60)
            await communicator.wait(60)
        assert (start["status"], body["body"]) == (200, dict(start["headers"])[b"X-Request-ID"])
        return body["body"].decode()

    async def scenario():
        turn = asyncio.Semaphore(12)
        return await asyncio.gather(*(ask(*request, turn) for request in requests))

    assert_nothing_mixed(requests, async_to_sync(scenario)())


@in_autocommit
@ours_alone
def test_concurrent_threads_never_mix(requests):
    def ask(request):
        name, session, headers = request
        client = Client()
        client.cookies[settings.SESSION_COOKIE_NAME] = session
        try:
            return client.get(f"/busy?name={name}", headers=headers)["X-Request-ID"]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(ask, requests))

    assert_nothing_mixed(requests, ids)
    assert connection.is_usable()
