"""The admin over repositories: deleted rows can be found and brought back, and no edit overwrites another.

Its modules are loaded when they are asked for: Django's admin imports this package of every project that has the app.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .filters import DeletedListFilter
    from .inlines import RepositoryStackedInline, RepositoryTabularInline
    from .options import RepositoryAdmin

_HOMES = {
    "DeletedListFilter": "filters",
    "RepositoryAdmin": "options",
    "RepositoryStackedInline": "inlines",
    "RepositoryTabularInline": "inlines",
}

__all__ = ["DeletedListFilter", "RepositoryAdmin", "RepositoryStackedInline", "RepositoryTabularInline"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value
