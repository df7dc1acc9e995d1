"""What is decided between the attempts of one operation, for who listens to DEBUG."""

from __future__ import annotations

import logging
from typing import Any, Literal

from ..resilience import decisions
from ..resilience.classification import Verdict
from .operation import Operation
from .outcomes import error_kind

logger = logging.getLogger("django_enterprise_repo.retry")

#: Why a failure is not followed by another attempt: the database has refused, or it would refuse again; nobody knows
#: whether the write was applied; the read may do more than read; it was another database that failed; the circuit stays
#: open for longer than there is time; a transaction is repeated as a whole or not at all; the policy has no more
#: attempts, or none; the time, or the budget of the process, is used up.
Refusal = Literal[
    "not_retryable",
    "fate_unknown",
    "not_repeatable",
    "other_database",
    "circuit_open",
    "in_transaction",
    "no_policy",
    "attempts",
    "deadline",
    "budget",
]


def deadline_set(operation: Operation, seconds: float, source: str) -> None:
    """The operation has so many seconds; ``source`` says who gave them."""
    _tell(operation, "deadline_set", deadline_ms=_ms(seconds), deadline_from=source)


def attempt_failed(operation: Operation, verdict: Verdict, vote: str, *, dropped: bool) -> None:
    """What is made of the failure of an attempt."""
    _tell(
        operation,
        "attempt_failed",
        error_kind=verdict.kind,
        code=verdict.code,
        fate=verdict.fate,
        retryable=verdict.transient,
        vote=vote,
        dropped=dropped,
    )


def deadline_passed(operation: Operation, *, was_cut: bool) -> None:
    """The time was up: a call was cut off, or was waiting for a connection, or an attempt was not begun."""
    _tell(operation, "deadline_passed", was_cut=was_cut)


def retry_scheduled(operation: Operation, failure: BaseException, seconds: float) -> None:
    """There will be another attempt after so many seconds."""
    _tell(operation, "retry_scheduled", error_kind=error_kind(failure), wait_ms=_ms(seconds))


def retry_refused(operation: Operation, failure: BaseException, refusal: Refusal) -> None:
    """There will be no other attempt."""
    _tell(operation, "retry_refused", error_kind=error_kind(failure), refused_for=refusal)


def commit_verified(operation: Operation, outcome: str) -> None:
    """The server was asked what became of a COMMIT without an answer."""
    _tell(operation, "commit_verified", commit_outcome=outcome)


def _tell(operation: Operation, event: str, **told: Any) -> None:
    if logger.isEnabledFor(logging.DEBUG):
        spec = operation.spec
        names = {"operation": spec.name, "model": spec.model._meta.label, "alias": spec.alias}
        decisions.tell(logger, event, **names, effect=spec.effect, attempts=operation.attempts, **told)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
