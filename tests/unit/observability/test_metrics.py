"""The metrics by themselves: closed labels, limits, processes, and that the docs have them all."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from django.db import connections

from django_enterprise_repo.caching.counters import Event, cache_counts
from django_enterprise_repo.exceptions import CircuitOpenError, CommitOutcomeUnknown, DuplicateKeyError
from django_enterprise_repo.observability import labels, listening
from django_enterprise_repo.observability.metrics import make
from django_enterprise_repo.operations import OPERATIONS, Operation, OperationSpec, counts, error_kinds, outcome_of
from django_enterprise_repo.policies import BreakerPolicy
from django_enterprise_repo.resilience import breakers
from tests.testapp.models import Bare, Item, Tag
from tests.unit.test_package import VERBS

ROOT = Path(__file__).resolve().parents[3]
GUIDE = ROOT / "docs" / "how-to" / "monitoring.md"

prometheus_client = pytest.importorskip("prometheus_client")


@pytest.fixture
def registry():
    return prometheus_client.CollectorRegistry()


class Asked:
    """What the package counts, and a collector that looks at it."""

    def __init__(self, registry):
        self.metrics = make(registry)
        self.begun, self.finished, self.cache_asked = counts.begun, counts.finished, cache_counts.count
        self.circuit_changed = self.metrics.circuit_changed


@pytest.fixture
def uncounted(monkeypatch):
    """Nobody has counted anything or knows a model, and nobody else counts."""
    monkeypatch.setattr(labels, "_models", labels.Labels(2))
    monkeypatch.setattr(labels, "_aliases", labels.Labels(2))
    listening.stop()
    counts.reset()
    cache_counts.reset()
    yield
    listening.start()


@pytest.fixture
def asked(registry, uncounted):
    return Asked(registry)


@pytest.fixture
def told(registry, uncounted, monkeypatch, tmp_path):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    return make(registry)


@pytest.fixture(params=["asked", "told"])
def counting(request):
    """Metrics in a registry of their own."""
    return request.getfixturevalue(request.param)


def run(counting, name="get", model=Item, alias="default", error=None, retried_for=()):
    operation = Operation(OperationSpec(name, model, alias), connections["default"])
    counting.begun(operation)
    operation.duration, operation.error, operation.retried_for = 0.003, error, retried_for
    counting.finished(operation)


def queries(registry, **labels):
    return registry.get_sample_value("repository_queries_total", {"alias": "default", "operation": "get", **labels})


def test_a_success_is_counted_and_timed(counting, registry):
    run(counting)
    run(counting)
    assert queries(registry, model="testapp.Item", outcome="ok") == 2
    bucket = {"operation": "get", "model": "testapp.Item"}
    found = [
        registry.get_sample_value("repository_query_duration_seconds_bucket", {**bucket, "le": le})
        for le in ("0.0025", "0.005")
    ]
    assert found == [0, 2]
    assert registry.get_sample_value("repository_operations_in_flight", {"alias": "default"}) == 0


def test_what_runs_is_in_flight(counting, registry):
    operation = Operation(OperationSpec("get", Item, "default"), connections["default"])
    counting.begun(operation)
    assert registry.get_sample_value("repository_operations_in_flight", {"alias": "default"}) == 1


def test_errors_are_counted_by_kind(counting, registry):
    run(counting, error=DuplicateKeyError())
    run(counting, error=CommitOutcomeUnknown())
    assert queries(registry, model="testapp.Item", outcome="refused") == 1
    assert queries(registry, model="testapp.Item", outcome="failed") == 1
    labels = {"operation": "get", "model": "testapp.Item"}
    assert registry.get_sample_value("repository_errors_total", {**labels, "kind": "duplicate_key"}) == 1
    assert registry.get_sample_value("repository_errors_total", {**labels, "kind": "commit_unknown"}) == 1
    assert registry.get_sample_value("repository_commit_unknown_total", {"alias": "default"}) == 1


def test_retries_are_counted_by_reason(counting, registry):
    run(counting, retried_for=("deadlock", "deadlock", "connection"))
    found = {
        reason: registry.get_sample_value("repository_retries_total", {"alias": "default", "reason": reason})
        for reason in ("deadlock", "connection")
    }
    assert found == {"deadlock": 2, "connection": 1}


def test_more_models_and_aliases_than_the_limit_are_others(counting, registry):
    for model in (Item, Tag, Bare, Item):
        run(counting, model=model)
    assert queries(registry, model="testapp.Item", outcome="ok") == 2
    assert queries(registry, model="testapp.Tag", outcome="ok") == 1
    assert queries(registry, model="testapp.Bare", outcome="ok") is None
    assert queries(registry, model="other", outcome="ok") == 1
    for number in range(5):
        run(counting, alias=f"tenant{number}")
    assert queries(registry, model="testapp.Item", alias="other", outcome="ok") == 4


def test_an_unknown_operation_or_kind_is_another(counting, registry):
    error = DuplicateKeyError(kind="made up")
    run(counting, name="x" * 100_000, error=error)
    labels = {"operation": "other", "model": "testapp.Item"}
    assert queries(registry, **labels, outcome="failed") == 1
    assert registry.get_sample_value("repository_errors_total", {**labels, "kind": "other"}) == 1


def test_the_closed_sets_hold_what_there_is():
    assert set(VERBS) - {"stream"} <= OPERATIONS, "a stream is called iterate"
    assert {outcome_of(kind) for kind in (None, *error_kinds())} == {"ok", "refused", "failed", "rejected", "cancelled"}


@pytest.fixture
def circuit():
    breakers.reset_breakers()
    breakers.configure(lambda alias: BreakerPolicy(fail_max=1, reset_timeout=60))
    yield breakers.breaker("default")
    breakers.reset_breakers()


def test_a_breaker_is_in_one_state(asked, registry, circuit):
    def states():
        return [
            registry.get_sample_value("repository_circuit_breaker_state", {"breaker": "default", "state": state})
            for state in ("closed", "half-open", "open")
        ]

    assert states() == [1, 0, 0]
    circuit.open()
    assert states() == [0, 0, 1]
    circuit.half_open()
    assert states() == [0, 1, 0]


def test_transitions_and_rejections_are_counted_once(counting, registry, circuit):
    def rejections():
        return registry.get_sample_value("repository_circuit_breaker_rejections_total", {"breaker": "default"})

    counting.circuit_changed("default", "closed", "open", circuit)
    circuit.open()
    for _ in range(3):
        with pytest.raises(CircuitOpenError):
            circuit.admit()
    run(counting, error=CircuitOpenError(retry_after=1))
    run(counting, error=CircuitOpenError(retry_after=1))
    assert rejections() == 3
    labels = {"breaker": "default", "from": "closed", "to": "open"}
    assert registry.get_sample_value("repository_circuit_breaker_transitions_total", labels) == 1


def test_a_rejection_writes_nothing_and_a_scrape_sees_it(asked, registry, circuit, monkeypatch):
    """Where somebody can ask, nobody is told."""
    circuit.open()
    monkeypatch.setattr("django_enterprise_repo.observability.asked.existing_breakers", None)
    monkeypatch.setattr(type(circuit), "snapshot", None)
    run(asked, error=CircuitOpenError(retry_after=1))
    run(asked, retried_for=("circuit_open",))
    monkeypatch.undo()

    with pytest.raises(CircuitOpenError):
        circuit.admit()
    assert registry.get_sample_value("repository_circuit_breaker_rejections_total", {"breaker": "default"}) == 1


def test_a_scrape_of_one_metric_by_its_name_asks_the_circuits(asked, registry, circuit):
    circuit.open()
    only = registry.restricted_registry(["repository_circuit_breaker_state"])
    (family,) = only.collect()
    assert {sample.labels["state"]: sample.value for sample in family.samples} == {
        "closed": 0,
        "half-open": 0,
        "open": 1,
    }


def test_circuits_beyond_the_limit_of_aliases_share_their_rejections_and_no_state(asked, registry, circuit):
    for alias in ("other1", "other2", "other3"):
        breakers.breaker(alias).open()
        with pytest.raises(CircuitOpenError):
            breakers.breaker(alias).admit()

    found = {
        tuple(sorted(sample.labels.items())): sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name.startswith("repository_circuit_breaker_") and sample.value
    }
    assert found[(("breaker", "other"),)] == 2
    assert (("breaker", "other1"), ("state", "open")) in found
    assert not [labels for labels in found if ("breaker", "other") in labels and len(labels) > 1]


def test_the_cache_has_its_metrics(counting, registry):
    events = get_args(Event)
    for event in (*events, *events):
        counting.cache_asked(Item, event)

    assert registry.get_sample_value("repository_cache_hits_total", {"model": "testapp.Item"}) == 2
    found = {
        event: [
            registry.get_sample_value(f"repository_cache_{name}_total", {"model": "testapp.Item", "event": event})
            for name in ("misses", "fills")
        ]
        for event in events
    }
    misses = {event: [2, None] for event in ("miss", "locked", "down", "unreadable", "bypassed")}
    assert found == {"hit": [None, None], **misses, "filled": [None, 2], "unfillable": [None, 2]}


def test_the_docs_name_every_metric_and_no_other(counting, registry):
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text()
    rows = re.findall(r"^\| `(repository_\w+)` \| (\w+) \| ([^|]*) \|", page, re.MULTILINE)
    documented = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}

    assert len(documented) == len(rows)
    existing = {}
    for collector in set(registry._names_to_collectors.values()):
        for metric in collector.describe():
            name = metric.name + ("_total" if metric.type == "counter" else "")
            existing[name] = (metric.type, set(getattr(collector, "_labelnames", ()) or metric._labelnames))
    assert documented == existing
    anywhere = set(re.findall(r"\b(repository_[a-z_]+)", page + GUIDE.read_text()))
    assert {re.sub("_(bucket|count|sum)$", "", name) for name in anywhere} == set(existing)


def test_promtool_accepts_the_rules_of_the_guide(tmp_path):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool (Debian: prometheus) is not installed")
    rules = tmp_path / "rules.yml"
    rules.write_text(re.search(r"```yaml\n(.*?)```", GUIDE.read_text(), re.DOTALL)[1])
    done = subprocess.run([promtool, "check", "rules", rules], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "7 rules found" in done.stdout


WORKER = """
import os, sys
import django
django.setup()
from django.db import connections
from django_enterprise_repo.exceptions import CircuitOpenError
from django_enterprise_repo.observability import listening, metrics
from django_enterprise_repo.operations import Operation, OperationSpec
from django_enterprise_repo.resilience import breakers
from tests.testapp.models import Item

def one(error=None):
    operation = Operation(OperationSpec("get", Item, "default"), connections["default"])  # the observer hears of it
    operation.finish(error)
    return Operation(OperationSpec("get", Item, "default"), connections["default"])

def rejected(by_an_operation):
    try:
        breakers.breaker("default").admit()
    except CircuitOpenError as error:
        if by_an_operation:
            one(error)

def told(*work):
    ready, done = os.pipe(), os.pipe()
    pid = os.fork()
    if not pid:
        running.append(one())
        for step in work:
            step()
        os.write(ready[1], b"x")
        os.read(done[0], 1)
        os._exit(0)
    os.read(ready[0], 1)
    children.append((pid, done[1]))

circuit = breakers.breaker("default")
running, children = [one()], []
{script}
body, _ = metrics.exposition("")
for pid, done in children:
    os.write(done, b"x")
    os.waitpid(pid, 0)
print(body.decode())
"""


@pytest.fixture
def scraped(tmp_path):
    """The samples of several processes, after ``script`` has forked some."""

    def scrape(script):
        environment = {
            **os.environ,
            "PROMETHEUS_MULTIPROC_DIR": str(tmp_path),
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "PYTHONWARNINGS": "default",
        }
        done = subprocess.run(
            [sys.executable, "-c", WORKER.format(script=script)],
            cwd=ROOT,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
        assert "pid=" not in done.stdout
        return dict(line.rsplit(" ", 1) for line in done.stdout.splitlines() if line and not line.startswith("#"))

    return scrape


def of_circuit(found):
    prefix = "repository_circuit_breaker_"
    states = {state: found[f'{prefix}state{{breaker="default",state="{state}"}}'] for state in ("closed", "open")}
    return states, found[f'{prefix}rejections_total{{breaker="default"}}']


def test_all_processes_are_counted_together(scraped):
    found = scraped("told(); told()")
    query = 'repository_queries_total{alias="default",model="testapp.Item",operation="get",outcome="ok"}'
    assert found[query] == "3.0"
    assert found['repository_operations_in_flight{alias="default"}'] == "3.0", "what a parent runs is not its child's"
    assert of_circuit(found) == ({"closed": "3.0", "open": "0.0"}, "0.0")


def test_the_circuits_of_all_processes_are_in_their_states(scraped):
    """Nobody can be asked there, so each has written down the state it came into."""
    found = scraped("told(); told(circuit.open); told(circuit.open, circuit.close); told(circuit.open)")
    assert of_circuit(found) == ({"closed": "3.0", "open": "2.0"}, "0.0")


def test_what_the_circuits_of_all_processes_rejected_is_counted_once(scraped):
    found = scraped("""
circuit.open()
rejected(False)      # a session, say: nobody has written it down when the children begin
told(*[lambda: rejected(True)] * 2)
told(lambda: rejected(False), lambda: rejected(False), circuit.close)
told()
rejected(True)
rejected(False)
""")
    assert of_circuit(found) == ({"closed": "1.0", "open": "3.0"}, "7.0")
