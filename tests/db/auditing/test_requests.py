"""Requests: whose changes they are, sync, async and streamed, beside simple-history's middleware."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from asgiref.testing import ApplicationCommunicator
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.handlers.asgi import ASGIHandler
from django.db import connection, connections
from django.test import AsyncClient, Client, override_settings

from django_enterprise_repo.testing import assert_queries
from tests.db.auditing.views import told
from tests.testapp.models import Account, Audited, Entry, Ledger

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.db.auditing.views")]
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
