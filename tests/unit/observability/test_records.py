"""Which operations are written to the log, at which level and with what."""

from __future__ import annotations

import logging

import pytest
from django.db import connections

from django_enterprise_repo.exceptions import (
    CircuitOpenError,
    CommitOutcomeUnknown,
    Deadlock,
    DuplicateKeyError,
    RepositoryUnavailable,
)
from django_enterprise_repo.observability import listening
from django_enterprise_repo.observability.records import QUIET, OperationRecords
from django_enterprise_repo.operations import Operation, OperationSpec
from tests.testapp.models import Item

NAME = "django_enterprise_repo.operations"


@pytest.fixture(autouse=True)
def log(caplog):
    caplog.set_level(logging.DEBUG, NAME)
    return caplog


@pytest.fixture(autouse=True)
def _nobody_else():
    listening.stop()
    yield
    listening.start()


def ended(error=None, duration=0.001, retried_for=(), alias="default"):
    operation = Operation(OperationSpec("get", Item, alias), connections[alias])
    operation.finish(error)
    operation.duration, operation.retried_for = duration, retried_for
    operation.attempts = 1 + len(retried_for)
    return operation


def said(log):
    found = [(record.levelname, record.getMessage()) for record in log.records]
    log.clear()
    return found


def test_a_success_is_for_debug(log):
    OperationRecords(1.0).finished(ended())
    record = log.records[0]
    assert said(log) == [("DEBUG", "operation_finished")]
    assert (record.operation, record.model, record.alias, record.effect) == ("get", "testapp.Item", "default", "read")
    assert (record.duration_ms, record.attempts) == (1.0, 1)


@pytest.mark.parametrize(("slow", "expected"), [(1.0, True), (0.0, True), (2.5, False), (None, False)])
def test_a_slow_operation_is_a_warning(log, slow, expected):
    OperationRecords(slow).finished(ended(duration=2.0))
    assert (("WARNING", "operation_slow") in said(log)) is expected


def test_retries_are_told(log):
    OperationRecords(None).finished(ended(retried_for=("connection", "deadlock")))
    record = log.records[-1]
    assert said(log) == [("DEBUG", "operation_finished"), ("INFO", "operation_retried")]
    assert (record.retried_for, record.attempts) == (["connection", "deadlock"], 3)


@pytest.mark.parametrize(
    ("error", "level", "event"),
    [
        (Item.DoesNotExist("kanari"), "DEBUG", "operation_failed"),
        (DuplicateKeyError(), "DEBUG", "operation_failed"),
        (KeyboardInterrupt(), "DEBUG", "operation_failed"),
        (CircuitOpenError(retry_after=2.5), "DEBUG", "operation_rejected"),
        (Deadlock(), "INFO", "operation_failed"),
        (RuntimeError("kanari"), "INFO", "operation_failed"),
        (RepositoryUnavailable(kind="made up"), "INFO", "operation_failed"),
        (RepositoryUnavailable(), "WARNING", "operation_failed"),
        (RepositoryUnavailable(kind="storage"), "WARNING", "operation_failed"),
        (CommitOutcomeUnknown(), "WARNING", "operation_failed"),
    ],
    ids=repr,
)
def test_what_is_out_of_order_is_louder_than_a_refusal(log, error, level, event):
    OperationRecords(None).finished(ended(error))
    assert not log.records[0].exc_info
    assert "kanari" not in repr(vars(log.records[0]))
    assert said(log) == [(level, event)]


def test_a_failure_tells_what_our_errors_know(log):
    OperationRecords(None).finished(ended(CircuitOpenError(retry_after=2.5, code="08006")))
    record = log.records[0]
    assert (record.error_kind, record.error_type, record.code) == ("circuit_open", "CircuitOpenError", "08006")
    assert (record.retryable, record.fate, record.retry_after) == (True, "not_applied", 2.5)


def test_one_warning_speaks_for_an_outage(log):
    now = [100.0]
    sink = OperationRecords(None, clock=lambda: now[0])
    for _ in range(50):
        sink.finished(ended(RepositoryUnavailable()))
    assert said(log).count(("WARNING", "operation_failed")) == 1

    sink.finished(ended(RepositoryUnavailable(), alias="other"))
    assert said(log) == [("WARNING", "operation_failed")], "another database is another outage"

    now[0] += QUIET
    sink.finished(ended(RepositoryUnavailable()))
    assert log.records[0].suppressed == 49
    assert said(log) == [("WARNING", "operation_failed")]


def test_each_commit_of_unknown_outcome_is_told(log):
    sink = OperationRecords(None)
    for _ in range(3):
        sink.finished(ended(CommitOutcomeUnknown()))
    assert said(log) == [("WARNING", "operation_failed")] * 3
