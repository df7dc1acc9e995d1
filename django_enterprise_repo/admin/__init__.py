"""The admin over repositories: deleted rows can be found and brought back, and no edit overwrites another."""

from .filters import DeletedListFilter
from .inlines import RepositoryStackedInline, RepositoryTabularInline
from .options import RepositoryAdmin

__all__ = ["DeletedListFilter", "RepositoryAdmin", "RepositoryStackedInline", "RepositoryTabularInline"]
