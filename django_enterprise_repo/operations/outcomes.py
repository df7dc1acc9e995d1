"""How operations end, in words of small closed sets: what counts and logs need in common."""

from __future__ import annotations

from typing import Literal

from ..exceptions import RepositoryDatabaseError
from ..resilience.guards import recorded_verdict

#: ``"refused"`` is the answer of a database in good health to this one call, a row that isn't there included;
#: ``"rejected"`` was never asked, as the circuit was open; ``"cancelled"`` was stopped by its caller.
Outcome = Literal["ok", "refused", "failed", "rejected", "cancelled"]

#: What says that the database cannot be used as it is now, whoever asks.
OUTAGES = frozenset(
    {"authentication", "configuration", "connection", "read_only", "resources", "session_lost", "shutdown", "storage"}
)

_ENDS: dict[str, Outcome] = {
    "circuit_open": "rejected",
    "cancelled": "cancelled",
    **dict.fromkeys(
        ("caller", "check_violation", "duplicate_key", "foreign_key", "invalid_data", "not_null", "stale"), "refused"
    ),
}

_READS = "aggregate count diff exists explain get get_by get_many get_or_none in_bulk iterate list select"
_WRITES = (
    "add add_all atomic bulk_create bulk_update commit_and_refresh create delete delete_all get_or_create restore "
    "restore_all revert_to save update update_all update_or_create"
)
#: The operations there are: verbs, and what else a queryset or an entity does by itself.
OPERATIONS = frozenset(f"{_READS} {_WRITES}".split())


def error_kinds() -> frozenset[str]:
    """What :func:`error_kind` may say: the kinds of the classification, and our own deadline."""
    from ..resilience.classification import KINDS

    return KINDS | {"deadline"}


def error_kind(error: BaseException) -> str:
    """The kind of the error that an operation ended in, one of :func:`error_kinds`."""
    from ..resilience.classification import classify  # not needed before the first error

    if isinstance(error, RepositoryDatabaseError):
        kind = error.kind
    else:
        kind = (recorded_verdict(error) or classify(error)).kind
    return kind if kind in error_kinds() else "other"


def outcome_of(kind: str | None) -> Outcome:
    """How an operation ended whose error was of ``kind``; ``None`` for one that had none."""
    return "ok" if kind is None else _ENDS.get(kind, "failed")
