"""Where metrics and logs listen: one observer of operations, one of what caches are asked, and one receiver of
the breakers' signal."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from django.core.signals import setting_changed
from django.db.models import Model

from .. import conf
from ..caching.counters import Event, report_to
from ..operations import Operation, counts, observe_with, when_committed
from ..resilience.breakers import circuit_state_changed
from .labels import limit_models
from .records import OperationRecords

if TYPE_CHECKING:
    from .asked import AskedMetrics
    from .told import ToldMetrics

P = ParamSpec("P")
R = TypeVar("R")

logger = logging.getLogger("django_enterprise_repo.observability")

_UID = "enterprise_repo"


class Listener:
    """Hands what happens to those who count it and write it down; none of them can break a call.

    Settings are read when it is made, so that no operation has to.
    """

    def __init__(self) -> None:
        self._metrics: AskedMetrics | ToldMetrics | None = None
        #: The metrics, where they count for a scrape that can ask nobody.
        self._told: ToldMetrics | None = None
        self._is_to_register = conf.metrics_wanted()
        if self._is_to_register:
            limit_models(conf.metrics_model_limit())
        self._records = OperationRecords(conf.slow_operation())
        self._reported: set[str] = set()

    def begun(self, operation: Operation) -> None:
        if self._is_to_register:
            self._register()
        counts.begun(operation)
        if self._told is not None:
            self._safely("metrics", self._told.begun, operation)

    def finished(self, operation: Operation) -> None:
        counts.finished(operation)
        if self._told is not None:
            self._safely("metrics", self._told.finished, operation)
        self._safely("records", self._records.finished, operation)
        if operation.history_rows and operation.error is None:
            when_committed(operation, partial(self._committed, operation))

    def _committed(self, operation: Operation) -> None:
        counts.count_history(operation)
        if self._told is not None:
            self._safely("metrics", self._told.count_history, operation)

    def circuit_changed(self, alias: str, old: str, new: str, breaker: Any, **signal: Any) -> None:
        """A receiver of ``circuit_state_changed``."""
        if self._is_to_register:
            self._register()
        if self._metrics is not None:
            self._safely("metrics", self._metrics.circuit_changed, alias, old, new, breaker)

    def _register(self) -> None:
        """Show the metrics from now on. Not before something happens, so that no project starts later for them."""
        from . import metrics  # which imports prometheus_client
        from .told import ToldMetrics

        self._is_to_register = False
        self._metrics = self._safely("metrics", metrics.registered)
        if isinstance(self._metrics, ToldMetrics):
            self._told = self._metrics
            report_to(self._cache_asked)

    def _cache_asked(self, model: type[Model], event: Event) -> None:
        if self._told is not None:
            self._safely("metrics", self._told.cache_asked, model, event)

    def _safely(self, sink: str, tell: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
        """Call ``tell``: what counts must not break what it counts."""
        try:
            return tell(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  # a full disk, a handler of the project's: it is reported
            self._report(sink, error)
            return None

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
