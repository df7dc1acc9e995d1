"""The views as a project includes them, with a database behind them."""

from __future__ import annotations

import copy
import json

import pytest
from django.db import connections, transaction
from django.test import override_settings
from django.urls import reverse

from django_enterprise_repo.health import CHECKS, databases, examine, lanes
from django_enterprise_repo.health.report import Outcome
from django_enterprise_repo.resilience.breakers import breaker

pytestmark = [
    pytest.mark.django_db(databases="__all__"),
    pytest.mark.urls("tests.db.health.urls"),
    pytest.mark.usefixtures("_patient"),
]
CANARY = "c4n4ry"


@pytest.fixture
def _patient(settings):
    """The machine may be busy; what is late is the business of other tests."""
    settings.ENTERPRISE_REPO = {"HEALTH": {"timeout": 30}}


def body(response):
    return json.loads(response.content)


def fail(monkeypatch, how):
    def failing(alias, seconds):
        return how

    monkeypatch.setattr("django_enterprise_repo.health.examination.ping", failing)


@pytest.mark.parametrize("name", ["live", "ready", "full"])
def test_all_is_well(client, name, settings):
    settings.SILENCED_SYSTEM_CHECKS = [f"enterprise_repo.W00{n}" for n in range(10)]
    response = client.get(reverse(f"repository_health:{name}"))

    assert (response.status_code, body(response)) == (200, {"status": "pass"})
    assert response.headers["Content-Type"] == "application/health+json"
    assert response.headers["Cache-Control"] == "no-store"
    head = client.head(reverse(f"repository_health:{name}"))
    assert (head.status_code, head.content) == (200, b"")


def test_live_and_a_fresh_answer_send_nothing(client, django_assert_num_queries):
    client.get("/health/ready")
    for alias in connections:
        with django_assert_num_queries(0, using=alias):
            client.get("/health/live")
            client.get("/health/ready")
    assert not client.cookies


def test_a_database_that_fails(client, monkeypatch):
    fail(monkeypatch, Outcome("fail", "connection"))

    assert client.get("/health/live").status_code == 200
    ready = client.get("/health/ready?check=database")
    assert (ready.status_code, body(ready)) == (503, {"status": "fail"})
    assert "Retry-After" not in ready.headers
    breaker("default").open()
    assert int(client.get("/health/ready").headers["Retry-After"]) >= 1


def test_staff_see_details(admin_client):
    found = body(admin_client.get("/health/"))

    assert set(found["checks"]) == {
        "database:connectivity",
        "database:circuit_breaker",
        "database:migrations",
        "cache:roundtrip",
        "cache:rows",
        "configuration:validation",
    }
    assert [entry["componentId"] for entry in found["checks"]["database:connectivity"]] == ["default", "other"]


def test_other_users_do_not(client, django_user_model):
    client.force_login(django_user_model.objects.create_user("somebody"))

    assert set(body(client.get("/health/"))) == {"status"}


def test_staff_do_not_where_they_must_not(admin_client, settings):
    settings.ENTERPRISE_REPO = {"HEALTH": {"timeout": 30, "staff": False}}

    assert set(body(admin_client.get("/health/"))) == {"status"}


def test_nobody_is_looked_up_in_a_database_that_fails(admin_client, monkeypatch, django_assert_num_queries):
    fail(monkeypatch, Outcome("fail", "timeout"))

    with django_assert_num_queries(0):
        assert body(admin_client.get("/health/?check=database")) == {"status": "fail"}
        assert set(body(admin_client.get("/health/?check=cache"))) == {"status"}


@override_settings(
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]
)
def test_nobody_has_to_log_in(client):
    assert client.get("/health/live").status_code == 200
    assert client.post("/health/live").status_code == 405


@pytest.mark.parametrize("name", ["live", "ready", "full"])
def test_no_transaction_is_begun_for_a_probe(name):
    from django_enterprise_repo.health import views

    view = getattr(views, name)
    assert set(connections) <= view._non_atomic_requests


def test_a_probe_keeps_out_of_the_callers_transaction():
    with transaction.atomic(), connections["default"].cursor() as cursor:
        before = connections["default"].connection
        assert {finding.status for finding in examine(["database"]).findings} == {"pass"}
        cursor.execute("SELECT 1")
        assert connections["default"].connection is before


@pytest.mark.parametrize("engine", ["django_enterprise_repo.db.backends.sqlite3", "django.db.backends.sqlite3"])
@pytest.mark.parametrize("check", ["database", "migrations"])
def test_no_body_and_no_log_tells_a_secret(admin_client, settings, caplog, tmp_path, engine, check, monkeypatch):
    secret = copy.deepcopy(connections["default"].settings_dict) | {
        "ENGINE": engine,
        "NAME": str(tmp_path / CANARY / f"{CANARY}.sqlite3"),
        "USER": CANARY,
        "PASSWORD": CANARY,
        "HOST": CANARY,
        "OPTIONS": {},
    }
    monkeypatch.setitem(connections.settings, "secret", secret)
    settings.CACHES = {
        "default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": f"redis://:{CANARY}@127.0.0.1:1/0"}
    }
    settings.ENTERPRISE_REPO = {"HEALTH": {"timeout": 30, "token": CANARY * 4}}
    caplog.set_level("DEBUG", logger="django_enterprise_repo")

    responses = [
        admin_client.get(path, headers=headers)
        for path in ("/health/", "/health/ready", f"/health/?check={check}", f"/health/?check={CANARY}")
        for headers in ({}, {"authorization": f"Bearer {CANARY * 4}"})
    ]

    assert "secret" in str(responses[1].content), "the alias is looked at"
    told = [response.content.decode() + str(response.headers) for response in responses]
    ours = [record for record in caplog.records if record.name.startswith("django_enterprise_repo")]
    assert ours
    told += [str(vars(record)) for record in ours]
    assert not [text for text in told if CANARY in text]
    assert not [text for text in told if "unable to open" in text]


def test_changes_are_logged_once(caplog, monkeypatch):
    caplog.set_level("INFO", logger="django_enterprise_repo.health")
    for how in (Outcome("fail", "connection", "57P01"), Outcome("pass")):
        fail(monkeypatch, how)
        for _ in range(3):
            lanes.forget()
            examine(["database"], databases=["default"])

    lines = [(record.levelname, record.msg, record.alias, record.health_output) for record in caplog.records]
    assert lines == [
        ("WARNING", "health_changed", "default", "connection"),
        ("INFO", "health_changed", "default", None),
    ]


def test_every_check_is_a_check_of_the_report():
    assert {finding.check for finding in examine().findings} == set(CHECKS)


def test_limits_of_the_project_are_kept_where_they_are_shorter(settings):
    for theirs, limit in ((None, 3), (0, 3), (2, 2), (60, 3)):
        wrapper = connections["default"].copy()
        wrapper.settings_dict["OPTIONS"] = {"pool": True} if theirs is None else {"connect_timeout": theirs}
        databases._limit(wrapper, 2.1)
        if wrapper.vendor in ("postgresql", "mysql"):
            assert wrapper.settings_dict["OPTIONS"]["connect_timeout"] == limit
        assert "pool" not in wrapper.settings_dict["OPTIONS"]
