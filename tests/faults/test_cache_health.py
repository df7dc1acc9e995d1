"""Probes of a Redis that hangs, is gone or lets nobody in: each answers in time, says why, and leaves nothing."""

from __future__ import annotations

import json
import threading
import time

import pytest
from django.core.cache import caches
from django.core.management import call_command
from django.test import RequestFactory, override_settings

from django_enterprise_repo.health import examine, lanes
from django_enterprise_repo.health.answers import answer
from tests.faults.processes import LOOPBACK, wait_until

pytest.importorskip("django_redis")

TIMEOUT = 1.0
# Beyond the deadline only what the machine needs to get round to a thread; a probe that hangs takes for ever.
SLACK = 4.0
# What a project lets its cache take, which is longer than any of these tests.
PATIENT = 600
TOKEN = "a-canary-of-a-token"

DJANGO = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "OPTIONS": {"socket_timeout": PATIENT}}
DJANGO_REDIS = {"BACKEND": "django_redis.cache.RedisCache", "OPTIONS": {"SOCKET_TIMEOUT": PATIENT}}
BACKENDS = {
    "django": DJANGO,
    "django-redis": DJANGO_REDIS,
    "django-redis, by its pool": DJANGO_REDIS | {"OPTIONS": {"CONNECTION_POOL_KWARGS": {"socket_timeout": PATIENT}}},
    "django-redis, silent": DJANGO_REDIS | {"OPTIONS": {"SOCKET_TIMEOUT": PATIENT, "IGNORE_EXCEPTIONS": True}},
}
LOUD = {name: backend for name, backend in BACKENDS.items() if "silent" not in name}


@pytest.fixture(autouse=True)
def _new_lanes():
    lanes.forget()
    yield
    lanes.forget()
    wait_until(lambda: not probing(), 10, "the threads of the probes have ended")


def probing():
    return [thread for thread in threading.enumerate() if thread.name.startswith("repository-health")]


def at(server, backend, credentials="", query=""):
    address = f"redis://{credentials}{LOOPBACK}:{server.port}/0{query}"
    return override_settings(CACHES={"default": {**backend, "LOCATION": address}})


def asked(timeout=TIMEOUT):
    """Status and kind, after the answer has come in time."""
    started = time.monotonic()
    (finding,) = examine(["cache"], timeout=timeout).findings
    assert time.monotonic() - started < timeout + SLACK
    return finding.status, finding.outcome.output


def asked_again(**options):
    lanes.forget()
    return asked(**options)


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=BACKENDS)
def test_one_that_answers_keeps_nothing_of_it(redis, backend):
    with at(redis, backend):
        assert asked(timeout=20) == ("pass", None)
        wait_until(lambda: not redis.clients(), 5, "the probe's connection is closed")
    assert "keys=" not in redis.ask("INFO keyspace")


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=BACKENDS)
def test_one_that_hangs_is_asked_by_one_thread_that_gives_up(redis, backend):
    with at(redis, backend):
        redis.suspend()

        assert asked() == ("warn", "timeout")
        assert len(probing()) <= 1
        started = time.monotonic()
        for _ in range(20):
            assert asked() == ("warn", "timeout")
        assert time.monotonic() - started < TIMEOUT + SLACK, "whoever comes later is told at once"
        assert len(probing()) <= 1
        wait_until(lambda: not probing(), 10, "the thread has given up while the server still hangs")

        redis.resume()
        wait_until(lambda: asked(timeout=20)[0] == "pass", 20, "the probe passes again")


@pytest.mark.parametrize("query", ["?socket_timeout=600", "?db=0&socket_timeout=600&socket_connect_timeout=600"])
def test_a_limit_in_the_address_is_one_of_the_projects_own(redis, query):
    with at(redis, LOUD["django-redis"], query=query):
        redis.suspend()
        assert asked() == ("warn", "timeout")
        wait_until(lambda: not probing(), 10, "the thread has given up")


def test_a_limit_of_the_projects_own_that_is_shorter_is_kept(redis):
    with at(redis, DJANGO, query="?socket_timeout=0.2"):
        redis.suspend()
        started = time.monotonic()
        assert asked(timeout=30) == ("warn", "timeout")
        assert time.monotonic() - started < 15


@pytest.mark.parametrize("several", [list, ",".join], ids=["a list", "a text"])
def test_of_several_servers_each_has_the_limits(redis, several):
    address = f"redis://{LOOPBACK}:{redis.port}/0"
    with override_settings(CACHES={"default": {**DJANGO_REDIS, "LOCATION": several([address, address])}}):
        assert asked(timeout=20) == ("pass", None)
        redis.suspend()
        assert asked_again() == ("warn", "timeout")
        wait_until(lambda: not probing(), 10, "the thread has given up")


@pytest.mark.parametrize("backend", LOUD.values(), ids=LOUD)
def test_one_that_is_stopped(redis, backend):
    with at(redis, backend):
        redis.stop()
        assert asked(timeout=20) == ("warn", "connection")


def test_one_that_is_stopped_and_nobody_says_so(redis):
    with at(redis, BACKENDS["django-redis, silent"]):
        redis.stop()
        assert asked(timeout=20) == ("warn", "mismatch")


@pytest.mark.parametrize("credentials", ["", ":wr0ng@", "somebody:wr0ng@"])
@pytest.mark.parametrize("backend", LOUD.values(), ids=LOUD)
def test_one_that_refuses_the_password(locked_redis, backend, credentials, caplog):
    caplog.set_level("DEBUG", "django_enterprise_repo")
    with at(locked_redis, backend, credentials):
        assert asked(timeout=20) == ("warn", "authentication")
        told = str(examine(["cache"], timeout=20).as_dict()) + str([vars(record) for record in caplog.records])
        assert not [secret for secret in ("wr0ng", "somebody", LOOPBACK, str(locked_redis.port)) if secret in told]
    with at(locked_redis, backend, ":right@"):
        assert asked_again(timeout=20) == ("pass", None)


def test_the_connections_of_the_project_are_left_alone(redis):
    with at(redis, DJANGO_REDIS):
        caches["default"].set("theirs", "1")
        pool = caches["default"].client.get_client().connection_pool
        assert asked(timeout=20) == ("pass", None)

        assert pool.connection_kwargs["socket_timeout"] == PATIENT
        wait_until(lambda: redis.clients() == 1, 5, "theirs is there and the probe's is not")
        assert caches["default"].get("theirs") == "1"
        pool.disconnect()
        redis.ask("FLUSHALL")


@pytest.mark.django_db(databases="__all__")
def test_the_other_probes_are_held_up_by_nothing(redis):
    with at(redis, DJANGO_REDIS):
        redis.suspend()
        started = time.monotonic()
        report = examine(timeout=5)
        assert time.monotonic() - started < 5 + SLACK

    assert [finding.outcome.output for finding in report.of("cache")] == ["timeout"]
    assert {finding.status for finding in report.of("database")} == {"pass"}


def test_the_views_and_the_command_say_so_in_time(redis, settings, capsys):
    settings.ENTERPRISE_REPO = {"HEALTH": {"timeout": TIMEOUT, "token": TOKEN}}
    request = RequestFactory().get("/health/?check=cache&probe=1", headers={"authorization": f"Bearer {TOKEN}"})
    with at(redis, DJANGO_REDIS):
        redis.suspend()
        for _ in range(3):
            started = time.monotonic()
            response = answer(request, "full")
            assert time.monotonic() - started < TIMEOUT + SLACK
            (found,) = json.loads(response.content)["checks"]["cache:roundtrip"]
            assert (response.status_code, found["status"], found["output"]) == (200, "warn", "timeout")
            assert len(probing()) <= 1
        assert answer(RequestFactory().get("/health/live"), "live").status_code == 200
        call_command("repository_health", check=["cache"], timeout=TIMEOUT)
        assert "timeout" in capsys.readouterr().out
