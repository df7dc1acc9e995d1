"""What the log says of operations: constant event names, and fields in ``extra``.

No record has the text of an error, which may hold the values of rows, nor the error itself, which a handler would
print. Whoever called has it.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import Any

from ..operations import OUTAGES, Operation, error_kind, outcome_of

logger = logging.getLogger("django_enterprise_repo.operations")

#: Seconds for which one warning speaks for all failures of its database that are like it.
QUIET = 60.0


class OperationRecords:
    """Writes operations to the log.

    Args:
        slow: from how many seconds on an operation is slow, ``None`` for never.
    """

    def __init__(self, slow: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._slow = math.inf if slow is None else slow
        self._outages = _Outages(clock)

    def finished(self, operation: Operation) -> None:
        """Write what there is to say: nothing, of a quick success, where nobody listens to DEBUG."""
        error = operation.error
        if error is not None:
            self._failed(operation, error)
        elif logger.isEnabledFor(logging.DEBUG):
            logger.debug("operation_finished", extra=_fields(operation))
        if operation.retried_for and logger.isEnabledFor(logging.INFO):
            logger.info("operation_retried", extra={**_fields(operation), "retried_for": list(operation.retried_for)})
        if operation.duration is not None and operation.duration >= self._slow:
            logger.warning("operation_slow", extra=_fields(operation))

    def _failed(self, operation: Operation, error: BaseException) -> None:
        kind = error_kind(error)
        level, suppressed = _level(kind), 0
        if kind in OUTAGES:
            level, suppressed = self._outages.weigh(operation.spec.alias)
        if not logger.isEnabledFor(level):
            return
        event = "operation_rejected" if kind == "circuit_open" else "operation_failed"
        told = {**_fields(operation), "error_kind": kind, "error_type": type(error).__qualname__, **_told(error)}
        if suppressed:
            told["suppressed"] = suppressed
        logger.log(level, event, extra=told)


class _Outages:
    """Lets one warning speak for a database that is out; what follows it is for DEBUG, and counted.

    An outage makes thousands of failures a minute. The circuit breaker says when it begins and ends. No lock, which
    would be fork's to mind: two threads may warn at once, or count one failure for two.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._warned: dict[str, tuple[float, int]] = {}

    def weigh(self, alias: str) -> tuple[int, int]:
        """The level for one more failure, and how many were not warned of since the last warning."""
        now = self._clock()
        since, suppressed = self._warned.get(alias, (-math.inf, 0))
        if now - since < QUIET:
            self._warned[alias] = (since, suppressed + 1)
            return logging.DEBUG, 0
        self._warned[alias] = (now, 0)
        return logging.WARNING, suppressed


def _level(kind: str) -> int:
    if kind == "commit_unknown":
        return logging.WARNING  # each of them: somebody has to find out what became of the data
    return logging.INFO if outcome_of(kind) == "failed" else logging.DEBUG


def _fields(operation: Operation) -> dict[str, Any]:
    spec = operation.spec
    return {
        "operation": spec.name,
        "model": spec.model._meta.label,
        "alias": spec.alias,
        "effect": spec.effect,
        "duration_ms": None if operation.duration is None else round(operation.duration * 1000, 3),
        "attempts": operation.attempts,
    }


def _told(error: BaseException) -> dict[str, Any]:
    """What our own errors know, except names of constraints and fields: those are in the error that was raised."""
    names = ("code", "retryable", "fate", "retry_after")
    told = {name: getattr(error, name, None) for name in names if hasattr(error, "fate")}
    return {name: value for name, value in told.items() if value is not None}
