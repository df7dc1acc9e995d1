"""One test for each check of the resilience layer."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core import checks as django_checks
from django.db import connections, models
from django.test import override_settings
from django.test.utils import isolate_apps

from django_enterprise_repo import BreakerPolicy, Repository, RetryPolicy, declared
from django_enterprise_repo.checks import resilience
from django_enterprise_repo.checks.resilience import (
    check_breakers,
    check_engines,
    check_policies,
    check_time_limits,
)


@pytest.fixture
def registry() -> Iterator[Any]:
    """An app registry that holds nothing but the models of the test, seen by the checks."""
    with isolate_apps("tests.testapp") as isolated, pytest.MonkeyPatch.context() as patch:
        patch.setattr(resilience, "apps", isolated)
        patch.setattr(declared, "apps", isolated)
        yield isolated


@pytest.fixture
def configure() -> Iterator[Callable[..., None]]:
    """Gives the default database other settings; in the end its own come back."""
    parked = connections["default"]
    original = connections.settings["default"]
    with pytest.MonkeyPatch.context() as patch:

        def configure(**settings: Any) -> None:
            patch.setitem(connections.settings, "default", {**copy.deepcopy(original), **settings})
            del connections["default"]

        yield configure
    connections["default"] = parked


def found(messages):
    return [message.id.removeprefix("enterprise_repo.") for message in messages]


def model(name: str = "Thing", **policies: Any) -> type[models.Model]:
    members = {"__module__": __name__, "objects": Repository.configured(**policies)()}
    return type(name, (models.Model,), {**members, "Meta": type("Meta", (), {"app_label": "testapp"})})


@pytest.mark.parametrize("policies", [{"retry": 3}, {"breaker": RetryPolicy()}, {"retry": "none"}, {"breaker": False}])
def test_E009(registry, policies):
    thing = model(**policies)

    (message,) = check_policies()

    assert found([message]) == ["E009"]
    assert message.obj is thing
    assert next(iter(policies)) in message.msg


def test_policies_of_their_own_kind_none_and_the_project_s_are_fine(registry):
    model("First", retry=RetryPolicy(attempts=1), breaker=BreakerPolicy())
    model("Second", retry=None, breaker=None)
    model("Third", retry="project", breaker="project")

    assert check_policies() == []


def test_E010(registry):
    model("First", breaker=BreakerPolicy(fail_max=2))
    second = model("Second", breaker=BreakerPolicy(fail_max=3))

    messages = check_breakers()

    assert set(found(messages)) == {"E010"}
    assert {message.obj for message in messages} == {second}
    assert any("'default'" in message.msg for message in messages)


@pytest.mark.parametrize("setting", [BreakerPolicy(), {"default": BreakerPolicy(), "other": BreakerPolicy()}])
def test_a_repository_contradicts_the_project(registry, setting):
    thing = model(breaker=BreakerPolicy(fail_max=2))

    with override_settings(ENTERPRISE_REPO={"BREAKER": setting}):
        messages = check_breakers()

    assert set(found(messages)) == {"E010"}
    assert {message.obj for message in messages} == {thing}


def test_one_policy_said_twice_is_one_policy(registry):
    model("First", breaker=BreakerPolicy(fail_max=2))
    model("Second", breaker=BreakerPolicy(fail_max=2))
    model("Third")

    with override_settings(ENTERPRISE_REPO={"BREAKER": {"default": BreakerPolicy(fail_max=2)}}):
        assert check_breakers() == []


@pytest.mark.parametrize(
    ("slow_call", "deadline", "expected"),
    [(1.0, 0.5, ["E011"]), (0.5, 0.5, ["E011"]), (0.4, 0.5, []), (None, 0.5, []), (1.0, None, [])],
)
def test_E011(registry, slow_call, deadline, expected):
    model(retry=RetryPolicy(deadline=deadline))

    with override_settings(ENTERPRISE_REPO={"BREAKER": BreakerPolicy(slow_call=slow_call)}):
        assert found(check_breakers()) == expected


def test_a_deadline_of_the_project(registry):
    model()
    project = {"BREAKER": BreakerPolicy(slow_call=1.0), "RETRY": RetryPolicy(deadline=0.5)}

    with override_settings(ENTERPRISE_REPO=project):
        assert found(check_breakers()) == ["E011"]
    with override_settings(ENTERPRISE_REPO={**project, "RETRY": None}):
        assert check_breakers() == []


def test_who_asks_no_breaker_may_be_as_slow_as_it_likes(registry):
    model(retry=RetryPolicy(deadline=0.5), breaker=None)

    with override_settings(ENTERPRISE_REPO={"BREAKER": BreakerPolicy(slow_call=1.0)}):
        assert check_breakers() == []


@pytest.mark.parametrize("backend", ["sqlite3", "postgresql", "mysql"])
def test_W006(registry, configure, backend):
    pytest.importorskip({"sqlite3": "sqlite3", "postgresql": "psycopg", "mysql": "MySQLdb"}[backend])
    model()
    configure(ENGINE=f"django.db.backends.{backend}", OPTIONS={})

    (message,) = check_engines()

    assert found([message]) == ["W006"]
    assert f"django_enterprise_repo.db.backends.{backend}" in message.hint

    configure(ENGINE=f"django_enterprise_repo.db.backends.{backend}", OPTIONS={})

    assert check_engines() == []


def test_the_engine_matters_only_where_a_repository_is(registry, configure):
    configure(ENGINE="django.db.backends.sqlite3", OPTIONS={})

    assert check_engines() == []


POSTGRES = {"connect_timeout": 3, "options": "-c statement_timeout=5000", "tcp_user_timeout": 5000}
MYSQL = {"connect_timeout": 3, "read_timeout": 5, "write_timeout": 5}


@pytest.mark.parametrize(
    ("backend", "options", "missing"),
    [
        ("postgresql", POSTGRES, ""),
        ("postgresql", {"keepalives_idle": 5, **{name: POSTGRES[name] for name in ("connect_timeout", "options")}}, ""),
        ("postgresql", {}, "connect_timeout, statement_timeout (in options), tcp_user_timeout or keepalives_idle"),
        ("postgresql", {**POSTGRES, "options": "-c lock_timeout=5"}, "statement_timeout (in options)"),
        ("mysql", MYSQL, ""),
        ("mysql", {"connect_timeout": 3}, "read_timeout, write_timeout"),
        ("sqlite3", {}, ""),
    ],
)
def test_W007(registry, configure, backend, options, missing):
    pytest.importorskip({"sqlite3": "sqlite3", "postgresql": "psycopg", "mysql": "MySQLdb"}[backend])
    model()
    configure(ENGINE=f"django_enterprise_repo.db.backends.{backend}", OPTIONS=options)

    messages = check_time_limits()

    assert found(messages) == (["W007"] if missing else [])
    assert all(f"for ever: {missing} not set" in message.msg for message in messages)


def test_time_limits_are_a_matter_of_deployment():
    registered = django_checks.registry.registry

    assert check_time_limits in registered.deployment_checks
    assert check_time_limits not in registered.registered_checks
    assert {check_policies, check_breakers, check_engines} <= registered.registered_checks
