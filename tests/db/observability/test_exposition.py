"""The metrics as somebody scrapes them: our view, django-prometheus' and what promtool says of both."""

from __future__ import annotations

import shutil
import subprocess

import django
import pytest
from django.db import IntegrityError
from django.test import RequestFactory, override_settings
from django.urls import path

from django_enterprise_repo.observability import views
from tests.testapp.models import Bare

prometheus_client = pytest.importorskip("prometheus_client")

pytestmark = pytest.mark.django_db

urlpatterns = [path("metrics", views.metrics)]
NEEDLE = 'repository_queries_total{alias="default",model="testapp.Bare",operation="count",outcome="ok"}'


@pytest.fixture(autouse=True)
def _operations(transactional_db):
    Bare.objects.count()
    Bare.objects.create(name="a")
    with pytest.raises(IntegrityError):
        Bare.objects.create(name="a")


def scrape(accept=""):
    response = views.metrics(RequestFactory().get("/metrics", headers={"Accept": accept}))
    assert response.status_code == 200
    return response


def checked_by_promtool(body):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool (Debian: prometheus) is not installed")
    done = subprocess.run([promtool, "check", "metrics"], input=body, capture_output=True, check=False)
    # Only ours: other packages' metrics are in the same registry, and not ours to name.
    ours = [line for line in (done.stdout + done.stderr).decode().splitlines() if "repository_" in line]
    return ours, done.stderr


def test_the_view_serves_the_text_format_and_promtool_likes_it():
    response = scrape()
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert NEEDLE in response.content.decode()
    ours, errors = checked_by_promtool(response.content)
    assert not ours
    assert b"error while linting" not in errors


def test_the_view_serves_openmetrics_to_who_accepts_it():
    from prometheus_client.openmetrics.parser import text_string_to_metric_families

    accept = "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
    response = scrape(accept)
    assert response.headers["Content-Type"].startswith("application/openmetrics-text")
    families = {family.name: family for family in text_string_to_metric_families(response.content.decode())}
    assert {"repository_queries", "repository_query_duration_seconds", "repository_circuit_breaker_state"} <= {
        *families
    }


@pytest.mark.parametrize(
    "accept",
    ["*/*", ",;,", "application/openmetrics-text;version=x", "text/plain;version=x", "x" * 10_000, "a\r\nb: c"],
)
def test_a_hostile_header_gets_metrics_all_the_same(accept):
    response = scrape(accept)
    assert NEEDLE in response.content.decode()
    assert "x" not in response.headers["Content-Type"].partition("version")[2]


def test_only_reading_is_allowed():
    assert views.metrics(RequestFactory().post("/metrics")).status_code == 405
    assert views.metrics(RequestFactory().head("/metrics")).status_code == 200


def test_without_prometheus_client_the_view_says_so(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "prometheus_client", None)
    assert views.metrics(RequestFactory().get("/metrics")).status_code == 501


def test_the_view_has_a_url(client):
    with override_settings(ROOT_URLCONF=__name__):
        assert NEEDLE in client.get("/metrics").content.decode()


def test_the_endpoint_of_django_prometheus_shows_them():
    if django.VERSION >= (6, 1):
        pytest.skip("django-prometheus 2.5 is not for Django 6.1 and later")
    exports = pytest.importorskip("django_prometheus.exports", reason="django-prometheus is not installed")
    body = exports.ExportToDjangoView(RequestFactory().get("/metrics")).content
    assert NEEDLE in body.decode()
    ours, errors = checked_by_promtool(body)
    assert not ours
    assert b"error while linting" not in errors
