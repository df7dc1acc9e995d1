"""What is answered to whom, and what hostile requests get. No database is needed for any of it."""

from __future__ import annotations

import asyncio
import json

import pytest
from django.http import HttpResponse
from django.test import AsyncRequestFactory, RequestFactory, override_settings

from django_enterprise_repo.health import answers, examine
from django_enterprise_repo.health.middleware import HealthMiddleware
from django_enterprise_repo.resilience.breakers import breaker

TOKEN = "a-canary-of-a-token"
AUTHORIZED = {"headers": {"authorization": f"Bearer {TOKEN}"}}
with_token = override_settings(ENTERPRISE_REPO={"HEALTH": {"token": TOKEN}})
NO_DATABASE = "?check=circuit_breaker&check=cache"


def asked(path, endpoint="full", **extra):
    return answers.answer(RequestFactory().get(f"/health/{path}", **extra), endpoint)


def body(response):
    return json.loads(response.content)


def test_live_is_so_by_answering():
    response = asked("live?check=nonsense", "live")

    assert (response.status_code, body(response)) == (200, {"status": "pass"})
    assert response.headers["Content-Type"] == "application/health+json"
    assert response.headers["Cache-Control"] == "no-store"


def test_anybody_learns_the_status_and_nothing_else():
    assert body(asked(NO_DATABASE)) == {"status": "pass"}


@with_token
@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Basic {TOKEN}",
        TOKEN,
        "Bearer \xe4\xff",
        f"Bearer  {TOKEN}",
        "Bearer " + "x" * 100_000,
    ],
)
def test_who_has_not_the_token_is_anybody(authorization):
    assert body(asked(NO_DATABASE, headers={"authorization": authorization})) == {"status": "pass"}


def test_no_token_is_nobodys_token():
    assert body(asked(NO_DATABASE, headers={"authorization": "Bearer None"})) == {"status": "pass"}
    assert body(asked(NO_DATABASE, headers={"authorization": "Bearer "})) == {"status": "pass"}


@with_token
def test_the_token_shows_the_details():
    found = body(asked(NO_DATABASE, **AUTHORIZED))

    assert found["status"] == "pass"
    assert set(found["checks"]) == {"database:circuit_breaker", "cache:roundtrip"}
    first = found["checks"]["cache:roundtrip"][0]
    assert set(first) == {"componentId", "componentType", "status", "observedValue", "observedUnit", "time"}
    assert first["componentId"] == "default" and first["componentType"] == "datastore"
    assert TOKEN not in str(found)


def times(response):
    return [entry["time"] for entries in body(response)["checks"].values() for entry in entries]


@with_token
def test_who_has_the_token_may_ask_anew():
    first = times(asked("?check=cache", **AUTHORIZED))

    assert times(asked("?check=cache", **AUTHORIZED)) == first
    for value in ("", "0", "2", "true", "1%00", "1&probe=0"):
        assert times(asked(f"?check=cache&probe={value}", **AUTHORIZED)) == first
    assert times(asked("?check=cache&probe=1", **AUTHORIZED)) > first


@with_token
@pytest.mark.parametrize("authorization", ["", f"Bearer {TOKEN}x", "Bearer"])
def test_others_get_the_answer_that_is_there(authorization):
    first = times(asked("?check=cache", **AUTHORIZED))

    response = asked("?check=cache&probe=1", headers={"authorization": authorization})

    assert (response.status_code, body(response)) == (200, {"status": "pass"})
    assert times(asked("?check=cache", **AUTHORIZED)) == first


@with_token
@pytest.mark.parametrize("query", ["?check=nonsense&probe=1", "?probe=1&" + "&".join("a=1" for _ in range(5000))])
def test_a_wrong_question_is_wrong_anew(query):
    assert asked(query, **AUTHORIZED).status_code == 400


@with_token
def test_an_open_circuit_is_a_warning():
    breaker("default").open()

    response = asked("?check=circuit_breaker", "ready", **AUTHORIZED)

    assert response.status_code == 200
    assert "Retry-After" not in response.headers
    (found,) = [one for one in body(response)["checks"]["database:circuit_breaker"] if one["status"] != "pass"]
    assert (found["status"], found["output"], found["observedValue"]) == ("warn", "open", "open")
    assert found["retryAfter"] > 0


@override_settings(ENTERPRISE_REPO={"HEALTH": {"readiness": {"circuit_breaker": "fail"}}})
def test_or_a_failure_and_says_when_to_come_back():
    breaker("default").open()

    response = asked("?check=circuit_breaker", "ready")

    assert (response.status_code, body(response)) == (503, {"status": "fail"})
    assert int(response.headers["Retry-After"]) >= 1


def test_a_half_open_circuit_warns():
    breaker("default").half_open()

    assert body(asked("?check=circuit_breaker")) == {"status": "warn"}


@override_settings(ENTERPRISE_REPO={"HEALTH": {"readiness": {"cache": "ignore"}}})
def test_readiness_knows_no_check_that_it_ignores():
    assert asked("ready?check=cache", "ready").status_code == 400
    assert asked("?check=cache").status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        "?check=nonsense",
        "?check=",
        "?check=cache&check=nonsense",
        "?check=cache%00",
        "?check=CACHE",
        "?check=<script>",
        "?check=" + "x" * 100_000,
        "?" + "&".join(f"check={n}" for n in range(999)),
        "?" + "&".join("a=1" for _ in range(5000)),
    ],
)
def test_unknown_checks_are_refused_and_not_repeated(query):
    response = asked(query)

    assert response.status_code == 400
    assert body(response) == {"status": "fail", "output": "unknown_check"}


def test_a_check_that_is_named_often_is_made_once():
    with with_token:
        found = body(asked("?" + "&".join(["check=cache"] * 900), **AUTHORIZED))

    assert [len(entries) for entries in found["checks"].values()] == [len(examine(["cache"]).findings)]


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "options", "trace"])
@pytest.mark.parametrize("endpoint", ["live", "ready", "full"])
def test_other_methods_are_refused(method, endpoint):
    response = answers.answer(getattr(RequestFactory(), method)("/health/"), endpoint)

    assert (response.status_code, response.headers["Allow"]) == (405, "GET, HEAD")
    assert response.headers["Cache-Control"] == "no-store"


class Untouchable:
    def __getattr__(self, name):
        raise AssertionError(f"somebody looked at request.{name}")


@pytest.mark.parametrize("path", ["live", "ready?check=circuit_breaker"])
def test_neither_session_nor_user_is_touched_without_a_cookie(path):
    request = RequestFactory().get(f"/health/{path}")
    request.session = request.user = Untouchable()

    assert answers.answer(request, "live" if path == "live" else "ready").status_code == 200


def test_live_touches_neither_with_one():
    request = RequestFactory().get("/health/live")
    request.COOKIES["sessionid"] = "x"
    request.session = request.user = Untouchable()

    assert answers.answer(request, "live").status_code == 200


def passed_on(request):
    return HttpResponse("passed on")


@pytest.mark.parametrize("path", ["live", "", "ready", "?check=cache"])
def test_the_middleware_answers_by_itself(path, monkeypatch):
    monkeypatch.setattr("django_enterprise_repo.health.answers.readiness_checks", lambda: ("cache",))
    monkeypatch.setattr("django_enterprise_repo.health.answers.CHECKS", ("cache",))

    response = HealthMiddleware(passed_on)(RequestFactory().get(f"/health/{path}"))

    assert body(response) == {"status": "pass"}


@pytest.mark.parametrize("path", ["/", "/health", "/health/alive", "/health/live/", "/x/health/live", "//health/live"])
def test_the_middleware_hands_on_what_is_not_its_own(path):
    assert HealthMiddleware(passed_on)(RequestFactory().get(path)).content == b"passed on"


@override_settings(ENTERPRISE_REPO={"HEALTH": {"path": "/-/"}})
def test_the_middleware_answers_where_it_is_told():
    assert body(HealthMiddleware(passed_on)(RequestFactory().get("/-/live"))) == {"status": "pass"}


def test_the_middleware_among_coroutines():
    async def passed_on_later(request):
        return HttpResponse("passed on")

    async def ask(path):
        return await HealthMiddleware(passed_on_later)(AsyncRequestFactory().get(path))

    assert body(asyncio.run(ask("/health/live"))) == {"status": "pass"}
    assert asyncio.run(ask("/elsewhere")).content == b"passed on"
