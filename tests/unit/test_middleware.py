"""The middleware by itself: whose context a view sees, which id comes back, and what its settings may be."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from asgiref.sync import iscoroutinefunction
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.core.signals import request_finished
from django.db import close_old_connections
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.test import RequestFactory, override_settings
from django.utils.functional import SimpleLazyObject

from django_enterprise_repo import current_context, operation_context
from django_enterprise_repo.checks import check_settings
from django_enterprise_repo.context import acting_user
from django_enterprise_repo.correlation import MAX_LENGTH
from django_enterprise_repo.middleware import OperationContextMiddleware

ADA = get_user_model()(pk=1, username="ada")
BOB = get_user_model()(pk=2, username="bob")
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def answer(view: Any, *, user: Any = None, headers: Any = None) -> Any:
    """The response to a request by ``user``, as the middleware lets it out."""
    request = RequestFactory().get("/", headers=headers)
    request.user = user
    middleware = OperationContextMiddleware(view)
    return asyncio.run(middleware(request)) if iscoroutinefunction(view) else middleware(request)


def seen_by(**options: Any) -> Any:
    """The context that a view sees, and the response."""
    seen = []

    def view(request):
        seen.append(current_context())
        return HttpResponse(request.correlation_id)

    return seen, answer(view, **options)


def names(*users: Any) -> list[Any]:
    return [None if user is None else user.username for user in users]


def test_the_id_is_one_in_the_context_the_request_and_the_response():
    (context,), response = seen_by(headers={"X-Request-ID": "req-7"})

    assert (context.correlation_id, response.text, response["X-Request-ID"]) == ("req-7", "req-7", "req-7")


def test_the_trace_id_stands_in_for_a_request_id():
    headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}

    assert seen_by(headers=headers)[1]["X-Request-ID"] == TRACE
    assert seen_by(headers={**headers, "X-Request-ID": "mine"})[1]["X-Request-ID"] == "mine"
    assert seen_by(headers={**headers, "X-Request-ID": "not mine"})[1]["X-Request-ID"] == TRACE


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Request-ID": ""},
        {"X-Request-ID": "a" * (MAX_LENGTH + 1)},
        {"X-Request-ID": "a\r\nSet-Cookie: session=stolen"},
        {"X-Request-ID": "a\x00b"},
        {"X-Request-ID": "a b"},
        {"X-Request-ID": "ключ"},
        {"traceparent": f"00-{'0' * 32}-00f067aa0ba902b7-01"},
        {"traceparent": f"ff-{TRACE}-00f067aa0ba902b7-01"},
    ],
    ids=str,
)
def test_what_is_not_well_formed_is_replaced(headers):
    (context,), response = seen_by(headers=headers)

    assert len(context.correlation_id) == 32
    assert int(context.correlation_id, 16)
    assert response["X-Request-ID"] == context.correlation_id
    assert context.correlation_id not in headers.values()


def test_each_request_gets_an_id_of_its_own():
    assert len({seen_by()[1]["X-Request-ID"] for _ in range(50)}) == 50


@override_settings(ENTERPRISE_REPO={"CORRELATION_HEADER": "X-Correlation"})
def test_the_header_may_have_another_name():
    _, response = seen_by(headers={"X-Correlation": "here", "X-Request-ID": "elsewhere"})

    assert (response["X-Correlation"], response.has_header("X-Request-ID")) == ("here", False)


def test_the_context_ends_with_the_request_also_when_the_view_fails():
    def view(request):
        raise LookupError

    with operation_context(reason="before"):
        with pytest.raises(LookupError):
            answer(view, user=ADA)
        assert (current_context().reason, current_context().user, current_context().correlation_id) == (
            "before",
            None,
            None,
        )


def test_an_async_view_is_answered_async():
    async def view(request):
        await asyncio.sleep(0)
        return HttpResponse(f"{acting_user('default').username} {current_context().correlation_id}")

    assert iscoroutinefunction(OperationContextMiddleware(view))
    assert answer(view, user=ADA, headers={"X-Request-ID": "req-7"}).text == "ada req-7"


# Who acts.


@pytest.mark.parametrize(
    ("user", "name"),
    [
        (ADA, "ada"),
        (None, None),
        (AnonymousUser(), None),
        (SimpleLazyObject(lambda: ADA), "ada"),
        (SimpleLazyObject(lambda: SimpleLazyObject(lambda: ADA)), "ada"),
        (SimpleLazyObject(AnonymousUser), None),
        (SimpleLazyObject(lambda: None), None),
    ],
    ids=["user", "none", "anonymous", "lazy", "lazier", "lazy anonymous", "lazy none"],
)
def test_the_user_of_a_request_acts_or_nobody(user, name):
    def view(request):
        return HttpResponse(str(*names(acting_user("default"))))

    assert answer(view, user=user).text == str(name)


def test_a_request_without_authentication_has_no_user():
    request = RequestFactory().get("/")

    response = OperationContextMiddleware(lambda request: HttpResponse(repr(acting_user("default"))))(request)

    assert response.text == "None"


def test_nobody_is_looked_up_until_somebody_is_needed():
    asked = []

    def find():
        asked.append(1)
        return ADA

    def view(request):
        with operation_context(reason="inner"):
            repr(current_context())
            before = list(asked)
            acting_user("default")
            return HttpResponse(f"{before} {asked}")

    assert answer(view, user=SimpleLazyObject(find)).text == "[] [1]"


def test_the_user_is_who_the_request_says_at_that_moment():
    def view(request):
        acting = [acting_user("default")]
        request.user = BOB  # as auth.login() and REST frameworks do
        acting.append(acting_user("default"))
        request.user = AnonymousUser()
        acting.append(acting_user("default"))
        return HttpResponse(str(names(*acting)))

    assert answer(view, user=ADA).text == "['ada', 'bob', None]"
    assert answer(view, user=AnonymousUser()).text == "[None, 'bob', None]"


def test_what_a_view_says_wins_over_its_request():
    def view(request):
        with operation_context(user=BOB):
            return HttpResponse(acting_user("default").username)

    assert answer(view, user=ADA).text == "bob"


def by_key(request):
    return {"secret": BOB}.get(request.headers.get("X-Api-Key"))


@pytest.mark.parametrize("hook", [by_key, f"{__name__}.by_key"], ids=["function", "path"])
def test_get_user_says_who_acts(hook):
    def view(request):
        return HttpResponse(str(names(acting_user("default"))))

    with override_settings(ENTERPRISE_REPO={"GET_USER": hook}):
        assert answer(view, user=ADA, headers={"X-Api-Key": "secret"}).text == "['bob']"
        assert answer(view, user=ADA, headers={"X-Api-Key": "guess"}).text == "[None]"


def test_a_hook_that_fails_is_heard():
    def hook(request):
        raise PermissionError

    with override_settings(ENTERPRISE_REPO={"GET_USER": hook}), pytest.raises(PermissionError):
        answer(lambda request: HttpResponse(acting_user("default")))


# Streams.


def said() -> str:
    context = current_context()
    return f"{acting_user('default').username} {context.reason} {context.correlation_id}\n"


EXPECTED = ["ada None req-7\n", "ada export req-7\n", "ada export req-7\n", "ada None req-7\n"]


def body():
    yield said()
    with operation_context(reason="export"):
        yield said()
        yield said()
    yield said()


async def async_body():
    yield said()
    async with operation_context(reason="export"):
        await asyncio.sleep(0)
        yield said()
        yield said()
    yield said()


def test_a_stream_belongs_to_its_request_step_by_step():
    response = answer(lambda request: StreamingHttpResponse(body()), user=ADA, headers={"X-Request-ID": "req-7"})

    parts = []
    with operation_context(reason="the server's own"):
        for part in response:
            parts.append(part.decode())
            assert (current_context().user, current_context().reason) == (None, "the server's own")
    assert parts == EXPECTED


def test_an_async_stream_belongs_to_its_request_step_by_step():
    async def view(request):
        return StreamingHttpResponse(async_body())

    async def consume():
        parts = []
        async for part in answered:
            parts.append(part.decode())
            assert current_context().user is None
        return parts

    answered = answer(view, user=ADA, headers={"X-Request-ID": "req-7"})
    assert asyncio.run(consume()) == EXPECTED


@pytest.fixture
def _without_database():
    """Closing a response is the end of a request, at which Django looks after its connections."""
    request_finished.disconnect(close_old_connections)
    yield
    request_finished.connect(close_old_connections)


@pytest.mark.usefixtures("_without_database")
def test_a_stream_that_is_closed_early_still_belongs_to_its_request():
    ends = []

    def body():
        try:
            with operation_context(reason="export"):
                yield b"."
                yield b"."
        finally:
            ends.append(said())

    response = answer(lambda request: StreamingHttpResponse(body()), user=ADA, headers={"X-Request-ID": "req-7"})
    assert next(iter(response)) == b"."
    response.close()

    assert ends == ["ada None req-7\n"]
    assert current_context().user is None


def test_a_stream_that_fails_leaves_nothing_behind():
    def body():
        with operation_context(reason="export"):
            yield b"."
            raise LookupError

    response = answer(lambda request: StreamingHttpResponse(body()), user=ADA)

    with pytest.raises(LookupError):
        list(response)
    assert (current_context().user, current_context().reason) == (None, None)


def test_a_file_is_handed_on_as_it_is(tmp_path):
    path = tmp_path / "report.txt"
    path.write_bytes(b"report")
    response = FileResponse(path.open("rb"))
    before = response.file_to_stream

    assert answer(lambda request: response).file_to_stream is before
    assert response.getvalue() == b"report"
    before.close()


# Settings.


@pytest.mark.parametrize(
    "good",
    [
        {"CORRELATION_HEADER": "X-Correlation-ID"},
        pytest.param({"GET_USER": by_key}, id="a function"),
        {"GET_USER": f"{__name__}.by_key"},
        {"GET_USER": SimpleNamespace},
    ],
    ids=str,
)
def test_settings_that_fit(good):
    with override_settings(ENTERPRISE_REPO=good):
        assert check_settings() == []


async def async_hook(request):
    return None


NOT_A_FUNCTION = 7


@pytest.mark.parametrize(
    "wrong",
    [
        *(
            {"CORRELATION_HEADER": value}
            for value in ("", "X Request", "X-Ä", "X:Y", "X\n", "X_Request", "a" * 65, 5, None)
        ),
        *({"GET_USER": value} for value in (5, "", ".", ".x", "..x", "nowhere.at_all", f"{__name__}.nothing")),
        {"GET_USER": f"{__name__}.NOT_A_FUNCTION"},
        pytest.param({"GET_USER": async_hook}, id="a coroutine function"),
        {"GET_USER": f"{__name__}.async_hook"},
    ],
    ids=str,
)
def test_E003(wrong):
    with override_settings(ENTERPRISE_REPO=wrong):
        (message,) = check_settings()
    assert message.id == "enterprise_repo.E003"
    assert next(iter(wrong)) in message.msg
