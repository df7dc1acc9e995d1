"""``repository_health`` and ``repo.health()``, and the plug-in for django-health-check."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import RequestFactory, override_settings

from django_enterprise_repo.health import examine
from django_enterprise_repo.health.report import Outcome
from django_enterprise_repo.resilience.breakers import breaker
from tests.testapp.models import Item

pytestmark = pytest.mark.django_db(databases="__all__")
ROOT = Path(__file__).resolve().parent.parent.parent.parent


def exit_code(**options):
    try:
        call_command("repository_health", timeout=30, **options)
    except SystemExit as ended:
        return ended.code
    return 0


def test_the_table(capsys):
    breaker("default").open()

    assert exit_code(check=["circuit_breaker", "cache"]) == 0

    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["check", "component", "status", "observed", "output"]
    assert rows[0].split() == ["circuit_breaker", "default", "warn", "open", "open"]
    assert {row.split()[2] for row in rows[1:]} == {"pass"}


def test_a_warning_fails_where_it_shall():
    breaker("default").open()

    assert exit_code(check=["circuit_breaker"]) == 0
    assert exit_code(check=["circuit_breaker"], fail_on="warn") == 1
    assert exit_code(check=["circuit_breaker"], database=["other"], fail_on="warn") == 0


@pytest.mark.parametrize("fail_on", ["fail", "warn"])
def test_a_failure_fails(monkeypatch, fail_on, capsys):
    monkeypatch.setattr(
        "django_enterprise_repo.health.examination.ping", lambda alias, seconds: Outcome("fail", "shutdown", "57P03")
    )

    assert exit_code(check=["database"], database=["default"], fail_on=fail_on, json=True) == 1
    (found,) = json.loads(capsys.readouterr().out)["checks"]["database:connectivity"]
    assert (found["componentId"], found["output"], found["code"]) == ("default", "shutdown", "57P03")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--check", "nonsense"],
        ["--check", ""],
        ["--database", "nonsense"],
        ["--timeout", "0"],
        ["--timeout", "-1"],
        ["--timeout", "nan"],
        ["--timeout", "1e300"],
        ["--timeout", "soon"],
        ["--fail-on", "pass"],
        ["nonsense"],
    ],
)
def test_mistakes_in_usage(arguments):
    with pytest.raises(CommandError):
        call_command("repository_health", *arguments)


def test_a_mistake_exits_with_2_and_no_traceback():
    done = subprocess.run(
        [sys.executable, "manage.py", "repository_health", "--check", "nonsense"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 2
    assert "invalid choice: 'nonsense'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_repository_knows_how_its_databases_are():
    report = Item.objects.health(timeout=30)

    assert [(finding.check, finding.component) for finding in report.findings] == [
        ("database", "default"),
        ("circuit_breaker", "default"),
        ("migrations", "default"),
    ]
    assert report.status == "pass"
    assert {finding.component for finding in Item.objects.db_manager("other").health(timeout=30).findings} == {"other"}


class ToReplica:
    def db_for_read(self, model, **hints):
        return "other"


def test_of_a_repository_with_a_replica_both_are_looked_at(settings):
    settings.DATABASE_ROUTERS = [ToReplica()]

    assert [finding.component for finding in Item.objects.health(timeout=30).of("database")] == ["other", "default"]


@pytest.mark.parametrize("seconds", [0, -1, True, "1", float("inf")])
def test_seconds_are_a_number(seconds):
    with pytest.raises(ValueError, match="positive number"):
        examine(timeout=seconds)


@pytest.mark.parametrize("asked", [{"checks": ["nonsense"]}, {"databases": ["nonsense"]}, {"caches": ["nonsense"]}])
def test_unknown_names(asked):
    with pytest.raises(ValueError, match="There is no such"):
        examine(**asked)


def through_health_check(**options):
    pytest.importorskip("health_check")
    import asyncio

    from django_enterprise_repo.contrib.health_check import RepositoryHealthCheck

    return asyncio.run(RepositoryHealthCheck(**options).get_result())


@override_settings(ENTERPRISE_REPO={"HEALTH": {"timeout": 30}})
def test_a_check_of_django_health_check(monkeypatch):
    assert through_health_check(checks=("circuit_breaker", "cache")).error is None
    breaker("default").open()
    warning = through_health_check(checks=("circuit_breaker",)).error
    assert (type(warning).__name__, warning.message) == ("ServiceWarning", "circuit_breaker: open")
    assert through_health_check(checks=("circuit_breaker",), database="other").error is None
    monkeypatch.setattr(
        "django_enterprise_repo.health.examination.ping", lambda alias, seconds: Outcome("fail", "connection")
    )
    failure = through_health_check(checks=("database", "circuit_breaker"), database="default").error
    assert type(failure).__name__ == "ServiceUnavailable"
    assert failure.message == "database: connection, circuit_breaker: open"


@override_settings(ENTERPRISE_REPO={"HEALTH": {"timeout": 30}})
def test_its_view_shows_ours():
    pytest.importorskip("health_check")
    import asyncio

    from health_check.views import HealthCheckView

    view = HealthCheckView.as_view(checks=["django_enterprise_repo.contrib.health_check.RepositoryHealthCheck"])
    response = asyncio.run(view(RequestFactory().get("/?format=json")))

    assert "RepositoryHealthCheck" in response.content.decode()
