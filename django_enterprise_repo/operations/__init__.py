"""The operation scope: one call of a verb or one terminal of a queryset, from start to outcome.

Everything that starts at a repository runs through :func:`run`. The outermost call on a connection owns the
operation: it asks the circuit breaker, tries again where that is safe, keeps the deadline and says in the end what
went wrong. Calls inside it join. What listens to operations carries no correctness: the package's own observer
(metrics, logs), and whatever connects to :data:`operation_finished`.
"""

from __future__ import annotations

from .counts import BUCKETS, OperationCounts, counts
from .operation import Attempt, Observer, Operation, OperationSpec, describe, observe_with, operation_finished
from .outcomes import OPERATIONS, OUTAGES, Outcome, error_kind, error_kinds, outcome_of
from .scope import NOTHING, active_operation, latest_operation, run
from .settling import when_committed

__all__ = [
    "BUCKETS",
    "NOTHING",
    "OPERATIONS",
    "OUTAGES",
    "Attempt",
    "Observer",
    "Operation",
    "OperationCounts",
    "OperationSpec",
    "Outcome",
    "active_operation",
    "counts",
    "describe",
    "error_kind",
    "error_kinds",
    "latest_operation",
    "observe_with",
    "operation_finished",
    "outcome_of",
    "run",
    "when_committed",
]
