"""Where metrics and logs listen: one observer of operations, one of what caches are asked, and one receiver of
the breakers' signal."""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import partial
from typing import Any

from django.core.signals import setting_changed
from django.db.models import Model

from .. import conf
from ..caching.counters import Event, report_to
from ..operations import Operation, counts, observe_with, when_committed
from ..resilience.breakers import circuit_state_changed
from .labels import limit_models
from .records import OperationRecords

logger = logging.getLogger("django_enterprise_repo.observability")

_UID = "enterprise_repo"


class Listener:
    """Hands what happens to those who count it and write it down; none of them can break a call.

    Settings are read when it is made, so that no operation has to.
    """

    def __init__(self) -> None:
        self._metrics: Any = None
        if conf.metrics_wanted():
            from . import metrics  # which imports prometheus_client when the first operation begins

            limit_models(conf.metrics_model_limit())
            self._metrics = metrics
        self._records = OperationRecords(conf.slow_operation())
        self._reported: set[str] = set()

    def begun(self, operation: Operation) -> None:
        if self._metrics is not None:
            try:
                self._metrics.begun(operation)
            except Exception as error:  # noqa: BLE001  # what counts must not break what it counts
                self._report("metrics", error)

    def finished(self, operation: Operation) -> None:
        counts.count(operation)
        if self._metrics is not None:
            try:
                self._metrics.finished(operation)
            except Exception as error:  # noqa: BLE001  # as above
                self._report("metrics", error)
        try:
            self._records.finished(operation)
        except Exception as error:  # noqa: BLE001  # as above
            self._report("records", error)
        if operation.history_rows and operation.error is None:
            when_committed(operation, partial(self._committed, operation))

    def _committed(self, operation: Operation) -> None:
        counts.count_history(operation)
        if self._metrics is not None:
            try:
                self._metrics.count_history(operation)
            except Exception as error:  # noqa: BLE001  # as above
                self._report("metrics", error)

    def cache_asked(self, model: type[Model], event: Event) -> None:
        try:
            self._metrics.cache_asked(model, event)
        except Exception as error:  # noqa: BLE001  # as above
            self._report("metrics", error)

    @property
    def counts_caches(self) -> bool:
        return self._metrics is not None

    def circuit_changed(self, alias: str, old: str, new: str, breaker: Any, **signal: Any) -> None:
        """A receiver of ``circuit_state_changed``."""
        if self._metrics is not None:
            try:
                self._metrics.circuit_changed(alias, old, new, breaker)
            except Exception as error:  # noqa: BLE001  # as above
                self._report("metrics", error)

    def _report(self, sink: str, error: Exception) -> None:
        """Say once that a sink fails: it would fail again with the next operation, and the one after that."""
        if sink in self._reported:
            return
        self._reported.add(sink)
        with suppress(Exception):  # it may be the logs that fail
            logger.error("sink_failed", extra={"sink": sink, "error_type": type(error).__qualname__})


def start() -> None:
    """Listen from now on, as the settings say. Called when the app is ready, and when a test changes settings."""
    global _listener
    stop()
    _listener = Listener()
    observe_with(_listener)
    report_to(_listener.cache_asked if _listener.counts_caches else None)
    circuit_state_changed.connect(_listener.circuit_changed, dispatch_uid=_UID)
    setting_changed.connect(_setting_changed, dispatch_uid=_UID)


def stop() -> None:
    """Listen no more: for tests and measurements."""
    observe_with(None)
    report_to(None)
    circuit_state_changed.disconnect(dispatch_uid=_UID)
    setting_changed.disconnect(dispatch_uid=_UID)


_listener: Listener | None = None


def _setting_changed(*, setting: str, **kwargs: Any) -> None:
    if setting == "ENTERPRISE_REPO":
        start()
