"""``?probe=1``: an answer that is new, and the probe that an open circuit waits for."""

from __future__ import annotations

import asyncio
import json
import threading
import time

import pytest
from asgiref.sync import async_to_sync
from django.db import OperationalError, connections

from django_enterprise_repo.health import examine
from django_enterprise_repo.health.report import Outcome
from django_enterprise_repo.policies import BreakerPolicy
from django_enterprise_repo.resilience import breakers
from django_enterprise_repo.resilience.classification import classify
from django_enterprise_repo.resilience.guards import guard_of
from tests.testapp.models import Item

pytestmark = [pytest.mark.django_db(transaction=True, databases="__all__"), pytest.mark.urls("tests.db.health.urls")]
TOKEN = "a-canary-of-a-token"
AUTHORIZED = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture(autouse=True)
def _settings(settings):
    settings.ENTERPRISE_REPO = {"HEALTH": {"timeout": 30, "token": TOKEN}}


@pytest.fixture
def circuit():
    """The circuit of the default database, which is quick to let a probe through."""
    breakers.reset_breakers()
    breakers.configure(lambda alias: BreakerPolicy(fail_max=1, reset_timeout=0.05, max_reset_timeout=60, jitter=0))
    return breakers.breaker("default")


def opened(circuit, *, due):
    circuit.open()
    if due:
        time.sleep(0.1)
    assert circuit.current_state == "open"


def asked(client, path="/health/?check=database&check=circuit_breaker&probe=1", **extra):
    response = client.get(path, headers=AUTHORIZED, **extra)
    found = json.loads(response.content)["checks"]
    states = {entry["componentId"]: entry["observedValue"] for entry in found["database:circuit_breaker"]}
    return {entry["componentId"]: entry["status"] for entry in found["database:connectivity"]}, states


def failing(monkeypatch, error):
    def ping(alias, seconds):
        if alias != "default":
            return Outcome("pass")
        raise error

    monkeypatch.setattr("django_enterprise_repo.health.examination.ping", ping)


def lost():
    error = OperationalError()
    error.__cause__ = connections["default"].Database.OperationalError("gone")
    error.repository_verdict = classify(error, "connect")
    return error


def test_a_circuit_that_is_due_closes_by_a_database_that_answers(client, circuit):
    opened(circuit, due=True)

    assert asked(client) == ({"default": "pass", "other": "pass"}, {"default": "closed", "other": "closed"})
    assert circuit.current_state == "closed"


def test_without_the_parameter_it_hears_nothing(client, circuit):
    opened(circuit, due=True)

    _, states = asked(client, "/health/?check=circuit_breaker&check=database")

    assert states["default"] == circuit.current_state == "open"


def test_nor_by_who_may_not(client, circuit):
    opened(circuit, due=True)

    response = client.get("/health/?probe=1&check=circuit_breaker&check=database")

    assert json.loads(response.content) == {"status": "warn"}
    assert circuit.current_state == "open"


def test_the_order_of_the_checks_tells_no_old_state(client, circuit):
    opened(circuit, due=True)

    assert asked(client, "/health/?check=circuit_breaker&check=database&probe=1")[1]["default"] == "closed"


def test_a_circuit_that_is_not_due_is_left_alone(client, circuit):
    circuit.isolate()

    assert asked(client)[0]["default"] == "pass"
    assert circuit.snapshot().isolated
    assert circuit.rejected == 0


def test_a_database_that_fails_opens_it_again_for_longer(client, circuit, monkeypatch):
    opened(circuit, due=True)
    failing(monkeypatch, lost())

    statuses, states = asked(client)

    assert (statuses["default"], states["default"]) == ("fail", "open")
    assert circuit.snapshot().opened == 2


def test_a_probe_that_was_cut_off_proves_nothing(client, circuit, monkeypatch):
    opened(circuit, due=True)
    error = lost()
    error.repository_verdict = error.repository_verdict._replace(kind="timeout", vote="void")
    failing(monkeypatch, error)

    assert asked(client)[1]["default"] == "open"
    assert circuit.snapshot().opened == 2


def test_what_says_nothing_of_the_database_gives_the_permit_back(client, circuit, monkeypatch):
    opened(circuit, due=True)
    failing(monkeypatch, TypeError())

    assert asked(client)[0]["default"] == "fail"
    assert circuit.current_state == "half-open"
    circuit.settle(circuit.admit(), "success")  # another probe may pass
    assert circuit.current_state == "closed"


def test_a_closed_circuit_hears_nothing_of_failures(client, circuit, monkeypatch):
    failing(monkeypatch, lost())

    asked(client)

    assert (circuit.current_state, circuit.snapshot().window.calls) == ("closed", 0)


def test_staff_may_ask_too(admin_client):
    found = json.loads(admin_client.get("/health/?check=database&probe=1").content)
    again = json.loads(admin_client.get("/health/?check=database&probe=1").content)

    assert again["checks"] != found["checks"]


def test_while_the_circuit_is_open_nobody_can_be_looked_up(admin_client, circuit):
    if not guard_of(connections["default"]).sees_everything:
        pytest.skip("the users are asked for all the same by Django's own engine")
    circuit.isolate()

    response = admin_client.get("/health/?check=circuit_breaker&check=database&probe=1")

    assert json.loads(response.content) == {"status": "warn"}


def test_code_may_ask_anew():
    first = examine(["database"], databases=["default"])
    assert examine(["database"], databases=["default"]).findings == first.findings
    assert examine(["database"], databases=["default"], anew=True).findings[0].at > first.findings[0].at


# The async twins.


def test_health_and_metrics_have_async_twins():
    async def ask():
        return await Item.objects.ahealth(timeout=30), await Item.objects.ametrics()

    before = Item.objects.metrics()
    report, counted = async_to_sync(ask)()

    assert [finding.check for finding in report.findings] == ["database", "circuit_breaker", "migrations"]
    assert report.status == "pass"
    assert counted == before


def test_a_database_that_hangs_holds_up_no_query(monkeypatch):
    hung = threading.Event()

    def ping(alias, seconds):
        hung.wait(30)
        return Outcome("pass")

    monkeypatch.setattr("django_enterprise_repo.health.examination.ping", ping)

    async def work():
        health = asyncio.create_task(Item.objects.ahealth(timeout=20))
        await asyncio.sleep(0.1)  # it waits now
        counted = await Item.objects.acount()
        assert not health.done()
        hung.set()
        return counted, (await health).status

    assert async_to_sync(work)() == (0, "pass")
