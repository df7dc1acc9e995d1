"""Client input to ORM conditions, without touching a database: filters, orderings, and what they may name.

The compiler is loaded with the first filter: a process that never sees one starts without it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .compiler import Filter, compile_filter
    from .fields import ResolvedPolicy, resolve_policy
    from .lookups import register_lookups
    from .ordering import Ordering, compile_ordering

_HOMES = {
    "Filter": "compiler",
    "Ordering": "ordering",
    "ResolvedPolicy": "fields",
    "compile_filter": "compiler",
    "compile_ordering": "ordering",
    "register_lookups": "lookups",
    "resolve_policy": "fields",
}

__all__ = [
    "Filter",
    "Ordering",
    "ResolvedPolicy",
    "compile_filter",
    "compile_ordering",
    "register_lookups",
    "resolve_policy",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value
