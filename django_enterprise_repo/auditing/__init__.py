"""Histories: the bridge to django-simple-history, and the statements that write and read its tables.

Its modules are loaded with the first use, and simple-history with them: a process that audits nothing starts
without it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import family, history, keys, reading, stamps, statements, tables, trail

__all__ = ["family", "history", "keys", "reading", "stamps", "statements", "tables", "trail"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f".{name}", __name__)
