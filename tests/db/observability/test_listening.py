"""Operations and breakers as metrics and logs see them, and that neither can break a call."""

from __future__ import annotations

import logging

import pytest
from django.db import IntegrityError
from django.test import override_settings

from django_enterprise_repo.caching.counters import cache_counts
from django_enterprise_repo.exceptions import CircuitOpenError
from django_enterprise_repo.observability import listening, metrics
from django_enterprise_repo.observability.told import ToldMetrics
from django_enterprise_repo.operations import counts
from django_enterprise_repo.policies import BreakerPolicy
from django_enterprise_repo.resilience import breakers
from tests.db.resilience.conftest import failing, lost
from tests.testapp.models import Bare, Item

prometheus_client = pytest.importorskip("prometheus_client")

pytestmark = pytest.mark.django_db(transaction=True)

__all__ = ["failing"]


class Growth:
    """How much samples have grown since this was made."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, str], float] = {}
        self._before = self._all()

    def _all(self):
        return {
            (sample.name, repr(sorted(sample.labels.items()))): sample.value
            for metric in prometheus_client.REGISTRY.collect()
            for sample in metric.samples
        }

    def of(self, name, **labels):
        key = (f"repository_{name}", repr(sorted(labels.items())))
        return self._all().get(key, 0) - self._before.get(key, 0)


@pytest.fixture
def growth():
    return Growth()


def queries(growth, operation, outcome, model="testapp.Bare"):
    return growth.of("queries_total", operation=operation, model=model, alias="default", outcome=outcome)


def test_every_outermost_operation_is_counted_once(growth):
    Bare.objects.create(name="a")
    assert Bare.objects.count() == 1
    with pytest.raises(IntegrityError):
        Bare.objects.create(name="a")
    with pytest.raises(Bare.DoesNotExist):
        Bare.objects.get(0)

    assert queries(growth, "create", "ok") == queries(growth, "create", "refused") == 1
    assert queries(growth, "save", "ok") == 0, "it is part of create()"
    assert queries(growth, "count", "ok") == queries(growth, "get", "refused") == 1
    assert growth.of("errors_total", operation="create", model="testapp.Bare", kind="duplicate_key") == 1
    assert growth.of("query_duration_seconds_count", operation="create", model="testapp.Bare") == 2


def test_a_retry_is_counted_and_logged(growth, failing, caplog):
    caplog.set_level(logging.INFO, "django_enterprise_repo.operations")
    failing.errors = [lost()]
    assert Bare.objects.count() == 0
    assert growth.of("retries_total", alias="default", reason="connection") == 1
    assert queries(growth, "count", "ok") == 1
    record = next(record for record in caplog.records if record.getMessage() == "operation_retried")
    assert (record.retried_for, record.attempts) == (["connection"], 2)


def test_an_outage_is_a_transition_and_not_a_line_for_each_call(growth, failing, caplog):
    caplog.set_level(logging.INFO, "django_enterprise_repo")
    breakers.configure(lambda alias: BreakerPolicy(fail_max=3, reset_timeout=60))
    failing.errors = [lost() for _ in range(50)]
    for _ in range(20):
        with pytest.raises(Exception, match="connection|circuit open"):
            Item.objects.count()

    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert sorted(warnings) == ["circuit_opened", "operation_failed"]
    transition = {"breaker": "default", "from": "closed", "to": "open"}
    assert growth.of("circuit_breaker_transitions_total", **transition) == 1
    assert growth.of("circuit_breaker_rejections_total", breaker="default") >= 17
    assert prometheus_client.REGISTRY.get_sample_value(
        "repository_circuit_breaker_state", {"breaker": "default", "state": "open"}
    )
    with pytest.raises(CircuitOpenError):
        Item.objects.count()
    assert queries(growth, "count", "rejected", "testapp.Item") >= 17


def test_an_operation_is_in_flight_while_it_runs():
    def running():
        return prometheus_client.REGISTRY.get_sample_value("repository_operations_in_flight", {"alias": "default"})

    Bare.objects.count()
    before = running()
    assert Bare.objects.atomic().run(running) == before + 1
    assert running() == before


def test_a_repository_counts_its_model_by_itself():
    counts.reset()
    Bare.objects.create(name="a")
    Bare.objects.get_or_none(0)
    with pytest.raises(Bare.DoesNotExist):
        Bare.objects.get(0)
    Item.objects.count()

    found = Bare.objects.metrics()
    assert dict(found.operations) == {"create": 1, "get": 1, "get_or_none": 1}
    assert dict(found.outcomes) == {"ok": 2, "refused": 1}
    assert dict(found.errors) == {"caller": 1}
    assert found.total == 3 and found.retries == 0 and found.seconds > 0
    with pytest.raises(TypeError):
        found.operations["get"] = 2


def test_retries_are_in_the_counts(failing):
    counts.reset()
    failing.errors = [lost()]
    Bare.objects.count()
    assert Bare.objects.metrics().retries == 1


class Exploding(logging.Handler):
    def handle(self, record):
        raise RuntimeError("kanari")


@pytest.fixture
def exploding_log():
    handler, log = Exploding(), logging.getLogger("django_enterprise_repo.operations")
    level = log.level
    log.setLevel(logging.DEBUG)
    log.addHandler(handler)
    yield
    log.removeHandler(handler)
    log.setLevel(level)


def test_a_log_that_raises_is_reported_once_and_breaks_nothing(exploding_log, growth, caplog):
    for _ in range(3):
        assert Bare.objects.count() == 0
    reports = [record for record in caplog.records if record.getMessage() == "sink_failed"]
    assert [(record.sink, record.error_type, record.exc_info) for record in reports] == [
        ("records", "RuntimeError", None)
    ]
    assert queries(growth, "count", "ok") == 3


class ExplodingMetrics(ToldMetrics):
    """Metrics of the multiprocess mode whose disk is full, say."""

    def __init__(self):
        """Register nothing."""

    def begun(self, *args):
        raise OSError("kanari")

    finished = cache_asked = circuit_changed = count_history = begun


@pytest.fixture
def exploding_metrics(monkeypatch):
    monkeypatch.setattr(metrics, "registered", ExplodingMetrics)
    listening.start()
    yield
    monkeypatch.undo()
    listening.start()


@pytest.mark.usefixtures("exploding_metrics")
def test_metrics_that_raise_are_reported_once_and_break_nothing(caplog):
    caplog.set_level(logging.DEBUG, "django_enterprise_repo")
    for _ in range(3):
        assert Bare.objects.count() == 0
    breakers.breaker("default").open()
    cache_counts.count(Bare, "miss")

    events = [record.getMessage() for record in caplog.records]
    assert events.count("sink_failed") == 1
    assert events.count("operation_finished") == 3


def explode():
    raise ValueError("kanari")


def test_metrics_that_cannot_be_registered_are_reported_once_and_break_nothing(monkeypatch, caplog):
    monkeypatch.setattr(metrics, "registered", explode)
    listening.start()
    breakers.breaker("default").open()
    breakers.breaker("default").close()
    assert Bare.objects.count() == 0
    assert [record.getMessage() for record in caplog.records].count("sink_failed") == 1


def test_metrics_can_be_switched_off(monkeypatch, caplog):
    monkeypatch.setattr(metrics, "registered", explode)
    with override_settings(ENTERPRISE_REPO={"METRICS": False}):
        Bare.objects.count()
        breakers.breaker("default").open()
    assert "sink_failed" not in [record.getMessage() for record in caplog.records]


def test_the_limit_of_slowness_is_a_setting(caplog):
    with override_settings(ENTERPRISE_REPO={"SLOW_OPERATION": 0}):
        Bare.objects.count()
    Bare.objects.count()
    assert [record.getMessage() for record in caplog.records] == ["operation_slow"]


def test_listening_can_be_stopped(growth):
    listening.stop()
    Bare.objects.count()
    assert queries(growth, "count", "ok") == 0
