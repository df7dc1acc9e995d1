"""Where metrics and logs listen: one receiver of each signal, which hands on to every sink."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django.core.signals import setting_changed

from .. import conf
from ..operations import Operation, counts, hear_of_beginnings, operation_finished
from ..resilience.breakers import circuit_state_changed
from .records import OperationRecords

logger = logging.getLogger("django_enterprise_repo.observability")

Sink = Callable[[Operation], None]

_sinks: tuple[Sink, ...] = ()
_metrics: Any = None
_reported: set[str] = set()


def start() -> None:
    """Listen from now on, as the settings say. Called when the app is ready; calling it again changes nothing."""
    operation_finished.connect(_finished, dispatch_uid="enterprise_repo")
    circuit_state_changed.connect(_changed, dispatch_uid="enterprise_repo")
    setting_changed.connect(_setting_changed, dispatch_uid="enterprise_repo")
    _configure()


def stop() -> None:
    """Listen no more: for tests and measurements."""
    operation_finished.disconnect(dispatch_uid="enterprise_repo")
    circuit_state_changed.disconnect(dispatch_uid="enterprise_repo")
    setting_changed.disconnect(dispatch_uid="enterprise_repo")
    hear_of_beginnings(None)


def _configure() -> None:
    """Settings are read here and when a test changes them, so that no operation has to."""
    global _sinks, _metrics
    _metrics = None
    records = OperationRecords(conf.slow_operation())
    if conf.metrics_wanted():
        from . import metrics as _metrics  # which imports prometheus_client when the first operation begins

        _metrics.limit_models(conf.metrics_model_limit())
        _sinks = (counts.count, _metrics.finished, records.finished)
        hear_of_beginnings(_begun)
    else:
        _sinks = (counts.count, records.finished)
        hear_of_beginnings(None)


def _setting_changed(*, setting: str, **kwargs: Any) -> None:
    if setting == "ENTERPRISE_REPO":
        _configure()


def _begun(operation: Operation) -> None:
    try:
        _metrics.begun(operation)
    except Exception as error:  # noqa: BLE001  # what counts must not break what it counts
        _report("metrics", error)


def _finished(sender: Any, operation: Operation, **kwargs: Any) -> None:
    for sink in _sinks:
        try:
            sink(operation)
        except Exception as error:  # noqa: BLE001  # as above
            _report(sink.__module__, error)


def _changed(sender: Any, alias: str, old: str, new: str, breaker: Any, **kwargs: Any) -> None:
    if _metrics is None:
        return
    try:
        _metrics.circuit_changed(alias, old, new, breaker)
    except Exception as error:  # noqa: BLE001  # as above
        _report("metrics", error)


def _report(sink: str, error: Exception) -> None:
    """Say once that a sink fails: it would fail again with the next operation, and the one after that."""
    if sink in _reported:
        return
    _reported.add(sink)
    with suppress(Exception):  # it may be the logs that fail
        logger.error("sink_failed", extra={"sink": sink, "error_type": type(error).__qualname__})
