"""What this process knows of the caches that rows are in; nobody is asked."""

from __future__ import annotations

from typing import Any

from ..caching.cached import all_cached
from ..caching.store import existing_stores
from .circuits import STATUS
from .report import Outcome


def row_cache_aliases() -> tuple[str, ...]:
    """The caches that some repository's policy names."""
    return tuple(sorted({alias for cached in all_cached() for alias in cached.locks}))


def row_cache(alias: str, seconds: float = 0.0) -> Outcome:
    """Whether rows are read from the cache at present, and how many locks it could not be told.

    A cache that nobody has needed yet is in order.
    """
    store = next((store for store in existing_stores() if store.alias == alias), None)
    if store is None:
        return Outcome("pass", observed=("closed", None))
    state, owed = store.breaker.snapshot(), store.owed
    more: dict[str, Any] = {"owedLocks": owed} if owed else {}
    if state.state == "closed":
        return Outcome("warn" if owed else "pass", "owed" if owed else None, observed=("closed", None), more=more)
    more["retryAfter"] = round(state.retry_after, 1)
    return Outcome(STATUS[state.state], state.state, observed=(state.state, None), more=more)
