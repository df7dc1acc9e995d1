"""Health tells of the caches that rows are in: whether they are left alone, and what they could not be told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import override_settings

from django_enterprise_repo.caching.store import store
from django_enterprise_repo.health import examine, lanes
from tests.db.caching.conftest import locmem
from tests.testapp.models import Item

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("everything_cached", "_no_answer_of_another_test"),
]
TOKEN = "a-canary-of-a-token"


@pytest.fixture
def _no_answer_of_another_test():
    lanes.forget()
    yield
    lanes.forget()


@pytest.fixture(params=["in order", "away"])
def state(request):
    return request.param


@pytest.fixture
def cache_settings(state) -> dict[str, Any]:
    if state == "in order":
        return locmem()
    pytest.importorskip("django_redis")
    options = {"SERIALIZER": "django_enterprise_repo.caching.serializers.BytesSerializer"}
    # Nobody listens on port 1.
    return {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://:s3cret@127.0.0.1:1/0", "OPTIONS": options}


def told() -> Any:
    # The flights of the test project are in another cache.
    (finding,) = (each for each in examine(["row_cache"]).findings if each.component == "cached")
    return finding


@pytest.mark.parametrize("state", ["in order"], indirect=True)
def test_a_cache_in_order_passes():
    assert (told().component, told().status) == ("cached", "pass"), "nobody has needed it yet"
    Item.objects.get_or_none(1)
    item = Item.objects.add(Item(name="a"))
    Item.objects.update(item, stock=1)

    assert (told().status, told().observed, told().outcome.output) == ("pass", ("closed", None), None)


@pytest.mark.parametrize("state", ["away"], indirect=True)
def test_a_cache_that_is_away_is_a_warning_and_says_what_it_is_owed():
    item = Item.objects.add(Item(name="a"))
    assert Item.objects.get(item.pk) == item
    assert (told().status, told().outcome.output) == ("warn", "open")
    assert "owedLocks" not in told().as_dict()

    Item.objects.update(item, stock=1)

    found = told().as_dict()
    assert (found["status"], found["observedValue"], found["owedLocks"]) == ("warn", "open", 1)
    assert found["retryAfter"] > 0
    assert "s3cret" not in str(found)


@pytest.mark.parametrize("state", ["in order"], indirect=True)
def test_a_circuit_that_is_tried_again_is_a_warning():
    store("cached").breaker.half_open()

    assert (told().status, told().outcome.output) == ("warn", "half-open")


@pytest.mark.parametrize("state", ["away"], indirect=True)
def test_owed_locks_are_a_warning_when_nothing_else_is():
    item = Item.objects.add(Item(name="a"))
    Item.objects.update(item, stock=1)
    store("cached").breaker.close()

    assert (told().status, told().outcome.output, told().as_dict()["owedLocks"]) == ("warn", "owed", 1)


@override_settings(ENTERPRISE_REPO={"HEALTH": {"token": TOKEN, "timeout": 30}})
@pytest.mark.urls("tests.db.health.urls")
@pytest.mark.parametrize("state", ["away"], indirect=True)
def test_the_views_show_the_details_to_those_who_may_see_them(client):
    Item.objects.get_or_none(1)

    anybody = client.get("/health/?check=row_cache")
    somebody = client.get("/health/?check=row_cache", headers={"authorization": f"Bearer {TOKEN}"})

    assert (anybody.status_code, json.loads(anybody.content)) == (200, {"status": "warn"})
    found = {each["componentId"]: each for each in json.loads(somebody.content)["checks"]["cache:rows"]}["cached"]
    assert (found["componentType"], found["observedValue"]) == ("component", "open")


def test_a_repository_tells_of_its_own_cache(settings, state):
    settings.CACHES = {**settings.CACHES, "another": locmem()}
    Item.objects.get_or_none(1)

    report = Item.objects.health(timeout=30)

    found = [(one.check, one.component, one.status) for one in report.findings if "cache" in one.check]
    status = "pass" if state == "in order" else "warn"
    assert found == [("cache", "cached", status), ("row_cache", "cached", status)]


@pytest.mark.parametrize("state", ["in order"], indirect=True)
def test_a_cache_that_does_not_exist_is_no_reason_to_say_nothing(settings):
    settings.CACHES = {"default": locmem()}

    assert {one.check for one in Item.objects.health(timeout=30).findings} == {
        "database",
        "circuit_breaker",
        "migrations",
    }
