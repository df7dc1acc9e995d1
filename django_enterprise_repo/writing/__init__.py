"""The one write path. Every change that starts at a repository or a ``RepositoryModel`` ends in ``path.execute``.

Its modules are loaded with the first write: a process that only reads starts without them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import (
        arguments,
        bulk,
        change,
        entities,
        operation_ledger,
        path,
        reverting,
        saving,
        sets,
        transactions,
        versions,
    )

__all__ = [
    "arguments",
    "bulk",
    "change",
    "entities",
    "operation_ledger",
    "path",
    "reverting",
    "saving",
    "sets",
    "transactions",
    "versions",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f".{name}", __name__)
