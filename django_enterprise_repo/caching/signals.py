"""What caches of rows tell whoever connects."""

from __future__ import annotations

from django.dispatch import Signal

#: Sent robustly when a cache stops or begins to answer, with ``alias``, ``old`` and ``new``, the states of its breaker.
cache_degraded = Signal()
