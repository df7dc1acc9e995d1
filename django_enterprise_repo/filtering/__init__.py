"""Client input to ORM conditions, without touching a database: filters, orderings, and what they may name."""

from .compiler import Filter, compile_filter
from .fields import ResolvedPolicy, resolve_policy
from .lookups import register_lookups
from .ordering import Ordering, compile_ordering

__all__ = [
    "Filter",
    "Ordering",
    "ResolvedPolicy",
    "compile_filter",
    "compile_ordering",
    "register_lookups",
    "resolve_policy",
]
