"""The names, texts and labels of all metrics, whichever way they come to a scrape."""

from __future__ import annotations

from typing import Literal, NamedTuple

from django.db.models import Model

from ..caching.counters import Event
from ..operations import OPERATIONS
from .labels import alias_label, model_label

#: What a circuit can be in.
STATES = ("closed", "half-open", "open")
_FILLS = frozenset({"filled", "unfillable"})


class Family(NamedTuple):
    """One metric; ``name`` is without the prefix and without what the client appends to it."""

    kind: Literal["counter", "gauge", "histogram"]
    name: str
    text: str
    labels: tuple[str, ...]

    @property
    def full_name(self) -> str:
        return f"repository_{self.name}"


QUERIES = Family("counter", "queries", "Operations finished.", ("operation", "model", "alias", "outcome"))
SECONDS = Family(
    "histogram",
    "query_duration_seconds",
    "How long operations took, retries and waits included.",
    ("operation", "model"),
)
ERRORS = Family("counter", "errors", "Operations that ended in an error.", ("operation", "model", "kind"))
RETRIES = Family("counter", "retries", "Attempts after a failed one, by its kind.", ("alias", "reason"))
UNKNOWN = Family("counter", "commit_unknown", "Commits of which nobody knows whether they took effect.", ("alias",))
IN_FLIGHT = Family("gauge", "operations_in_flight", "Operations that are running.", ("alias",))
HISTORY_ROWS = Family("counter", "history_rows", "History rows that were written and committed.", ("model", "alias"))
CACHE_HITS = Family("counter", "cache_hits", "Reads that the cache answered.", ("model",))
CACHE_MISSES = Family("counter", "cache_misses", "Reads that the cache did not answer.", ("model", "event"))
CACHE_FILLS = Family("counter", "cache_fills", "Rows that were to be cached.", ("model", "event"))
STATE = Family("gauge", "circuit_breaker_state", "1 for the state a circuit is in.", ("breaker", "state"))
TRANSITIONS = Family(
    "counter", "circuit_breaker_transitions", "Changes of a circuit's state.", ("breaker", "from", "to")
)
REJECTIONS = Family("counter", "circuit_breaker_rejections", "Calls that an open circuit rejected.", ("breaker",))

FAMILIES = (
    QUERIES,
    SECONDS,
    ERRORS,
    RETRIES,
    UNKNOWN,
    IN_FLIGHT,
    HISTORY_ROWS,
    CACHE_HITS,
    CACHE_MISSES,
    CACHE_FILLS,
    STATE,
    TRANSITIONS,
    REJECTIONS,
)


def operation_labels(name: str, model: type[Model], alias: str) -> tuple[str, str, str]:
    """The values of ``operation``, ``model`` and ``alias``."""
    return name if name in OPERATIONS else "other", model_label(model), alias_label(alias)


def cache_labels(model: type[Model], event: Event) -> tuple[Family, tuple[str, ...]]:
    """The family that counts ``event``, and the values of its labels."""
    if event == "hit":
        return CACHE_HITS, (model_label(model),)
    return CACHE_FILLS if event in _FILLS else CACHE_MISSES, (model_label(model), event)
