"""Every decision of the guard is in the log of who listens to DEBUG, once and with its reason."""

from __future__ import annotations

import ast
import logging
import re
from pathlib import Path

import pytest
from django.db import connection, connections, transaction
from django.db.models import F, Func, Value

from django_enterprise_repo import RetryPolicy, deadline
from django_enterprise_repo.exceptions import CircuitOpenError, CommitOutcomeUnknown, RepositoryDatabaseError
from django_enterprise_repo.operations import OperationSpec, run
from django_enterprise_repo.policies import BreakerPolicy
from django_enterprise_repo.resilience import breakers
from django_enterprise_repo.resilience.budget import budget
from tests.db.resilience.conftest import deadlock, failing, lost
from tests.db.resilience.test_deadlines import Sleep
from tests.testapp.models import Bare, Item, Plain

pytestmark = pytest.mark.django_db(transaction=True)

__all__ = ["failing"]

ROOT = Path(__file__).resolve().parents[3]
RETRY = "django_enterprise_repo.retry"
BREAKER = "django_enterprise_repo.breaker"


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)


@pytest.fixture
def decided(caplog):
    """The decisions so far, as events with what they tell."""
    caplog.set_level(logging.DEBUG, RETRY)
    caplog.set_level(logging.DEBUG, BREAKER)
    return lambda *events: [
        record
        for record in caplog.records
        if record.name in (RETRY, BREAKER) and (not events or record.getMessage() in events)
    ]


def refusals(decided):
    return [(record.refused_for, record.error_kind) for record in decided("retry_refused")]


def fails(call, *errors):
    with pytest.raises(errors or RepositoryDatabaseError) as caught:
        call()
    return caught.value


def test_nothing_is_decided_about_what_goes_well(decided):
    Bare.objects.create(name="a")
    with transaction.atomic():
        Bare.objects.count()
    assert decided() == []


def test_a_failed_attempt_and_the_next_one(decided, failing):
    failing.errors = [lost()]
    Bare.objects.count()

    failed, scheduled = decided("attempt_failed", "retry_scheduled")
    assert (failed.operation, failed.model, failed.alias, failed.effect) == ("count", "testapp.Bare", "default", "read")
    assert (failed.error_kind, failed.fate, failed.retryable, failed.vote) == (
        "connection",
        "not_applied",
        True,
        "failure",
    )
    assert failed.dropped and failed.attempts == 1
    assert scheduled.error_kind == "connection" and scheduled.wait_ms >= 0
    assert {record.levelno for record in decided()} == {logging.DEBUG}
    assert not decided("retry_refused")


def test_an_attempt_that_was_none_too_many(decided, failing):
    failing.errors = [lost()] * 9
    fails(Bare.objects.count)
    assert len(decided("retry_scheduled")) == 2
    assert refusals(decided) == [("attempts", "connection")]


def test_a_budget_that_is_used_up(decided, failing):
    while budget.take():
        pass
    failing.errors = [lost()]
    fails(Bare.objects.count)
    assert refusals(decided) == [("budget", "connection")]


def test_no_time_for_the_wait(decided, failing, monkeypatch, settings):
    settings.ENTERPRISE_REPO = {"RETRY": RetryPolicy(wait=60, max_wait=60)}
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    failing.errors = [lost()]
    fails(lambda: Bare.objects.list(deadline=30))
    assert refusals(decided) == [("deadline", "connection")]


def test_no_policy_of_retries(decided, failing, settings):
    settings.ENTERPRISE_REPO = {"RETRY": RetryPolicy(attempts=1)}
    failing.errors = [lost()]
    fails(Bare.objects.count)
    assert refusals(decided) == [("no_policy", "connection")]


def test_within_a_transaction(decided, failing):
    failing.errors = [None, deadlock()] if connection.vendor == "sqlite" else [deadlock()]
    with pytest.raises(RepositoryDatabaseError), transaction.atomic():
        Bare.objects.count()
    assert refusals(decided) == [("in_transaction", "deadlock" if connection.vendor != "sqlite" else "lock_timeout")]


def test_a_write_whose_fate_nobody_knows(decided, failing):
    failing.errors = [lost()]
    fails(lambda: Bare.objects.create(name="a"), CommitOutcomeUnknown)
    assert refusals(decided) == [("fate_unknown", "commit_unknown")]


def test_a_read_that_may_do_more_than_read(decided, failing):
    failing.errors = [lost()]
    fails(lambda: list(Item.objects.annotate(n=Func(F("pk"), function="abs"))))
    assert refusals(decided) == [("not_repeatable", "connection")]


def test_what_the_database_refuses(decided):
    Bare.objects.create(name="a")
    fails(lambda: Bare.objects.create(name="a"))
    assert refusals(decided) == [("not_retryable", "duplicate_key")]


def test_what_fails_otherwise_after_a_retry(decided, failing):
    failing.errors = [lost()]
    attempts = []

    def body(attempt):
        attempts.append(1)
        if len(attempts) == 2:
            raise ZeroDivisionError
        return Bare.objects.count()

    fails(lambda: run(OperationSpec("count", Bare, "default", retry_safe=True), body), ZeroDivisionError)
    assert refusals(decided) == [("not_retryable", "caller")]


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_another_database_that_failed(decided):
    def body(attempt):
        with connections["other"].execute_wrapper(failure):
            return Bare.objects.using("other").count()

    def failure(execute, sql, params, many, context):
        with context["connection"].wrap_database_errors:
            raise lost()

    fails(lambda: run(OperationSpec("count", Bare, "default", retry_safe=True), body))
    assert refusals(decided)[-1] == ("other_database", "connection")


def test_a_deadline_and_who_set_it(decided, settings):
    settings.ENTERPRISE_REPO = {"RETRY": RetryPolicy(deadline=30)}
    Bare.objects.count()
    with deadline(20):
        Bare.objects.count()
        Bare.objects.list(deadline=10)

    found = [(record.deadline_ms, record.deadline_from) for record in decided("deadline_set")]
    assert found == [(30_000, "policy"), (20_000, "surroundings"), (10_000, "call")]


def test_a_deadline_that_has_passed(decided):
    Plain.objects.create(name="a")
    fails(lambda: Plain.objects.annotate(slept=Sleep(Value(20))).list(deadline=0.3))

    (passed,) = decided("deadline_passed")
    assert passed.was_cut and passed.model == "testapp.Plain"
    assert refusals(decided)[0][1] == "deadline"


def test_a_circuit_that_opens_and_is_tried_again(decided, failing):
    breakers.configure(lambda alias: BreakerPolicy(fail_max=2, reset_timeout=60))
    failing.errors = [lost()] * 9
    fails(Bare.objects.count)

    counted = [(record.vote, record.failures) for record in decided("circuit_vote_counted")]
    assert counted == [("failure", 1), ("failure", 2)]
    assert {record.breaker_state for record in decided("circuit_rejected")} == {"open"}
    assert refusals(decided) == [("circuit_open", "circuit_open")]

    failing.errors = []
    breakers.breaker("default").half_open()
    Bare.objects.count()
    (settled,) = decided("circuit_probe_settled")
    assert (settled.vote, settled.breaker_state) == ("success", "half-open")
    assert len(decided("circuit_probe_admitted")) == 1


def test_votes_that_come_too_late(decided):
    circuit = breakers.breaker("default")
    permit = circuit.admit()
    circuit.open()
    circuit.settle(permit, "failure")
    circuit.observe("success")
    fails(circuit.admit, CircuitOpenError)

    ignored = [(record.vote, record.breaker_state) for record in decided("circuit_vote_ignored")]
    assert ignored == [("failure", "open"), ("success", "open")]
    assert [record.breaker_state for record in decided("circuit_rejected")] == ["open"]


def test_a_dead_connection_that_a_probe_begins_without(decided, monkeypatch):
    Bare.objects.count()
    breakers.breaker("default").half_open()
    monkeypatch.setattr(connections["default"], "is_usable", lambda: False)
    Bare.objects.count()
    assert [record.alias for record in decided("connection_dropped")] == ["default"]


class Exploding(logging.Handler):
    def handle(self, record):
        raise RuntimeError("kanari")


def test_a_log_that_raises_changes_no_decision(decided, failing, caplog):
    handler = Exploding()
    logging.getLogger(RETRY).addHandler(handler)
    logging.getLogger(BREAKER).addHandler(handler)
    try:
        failing.errors = [lost()]
        assert Bare.objects.count() == 0
    finally:
        logging.getLogger(RETRY).removeHandler(handler)
        logging.getLogger(BREAKER).removeHandler(handler)


WRITES = {"debug", "info", "warning", "error", "exception", "log", "tell", "_tell", "_report"}


def events_in(path):
    """Literals that are handed to what writes records, or are kept in a name or property that is."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)) if name in WRITES:
                parts = node.args
            case ast.Assign(targets=[ast.Name(id="event")]) | ast.AnnAssign(target=ast.Name(id="event")):
                parts = [node.value]
            case ast.Assign(targets=[ast.Tuple(elts=[_, ast.Name(id="decision")])]):
                parts = node.value.elts[1:]
            case ast.Assign(targets=[ast.Name(id="decision")]):
                parts = [node.value]
            case ast.FunctionDef(name="event"):
                parts = [part.value for part in node.body if isinstance(part, ast.Return)]
            case _:
                continue
        for value in (value for part in parts for value in values_of(part)):
            if re.fullmatch("[a-z]+(_[a-z]+)+", value):
                yield value


def values_of(part):
    if isinstance(part, ast.IfExp):
        return [*values_of(part.body), *values_of(part.orelse)]
    return [str(part.value)] if isinstance(part, ast.Constant) else []


def test_the_docs_name_every_event_and_no_other():
    table, _, _ = (ROOT / "docs" / "reference" / "logging.md").read_text().partition("## Fields")
    rows = re.findall(r"^\|[^|\n]*\|([^|\n]*)\| [A-Z]+ \|", table, re.MULTILINE)
    documented = [event for row in rows for event in re.findall(r"`(\w+)`", row)]
    existing = {event for path in (ROOT / "django_enterprise_repo").rglob("*.py") for event in events_in(path)}

    assert set(documented) == existing
