"""The manager that a model declares: ``objects = Repository()``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.db.models import Manager

from . import scoping
from .aio import AsyncVerbs
from .policies import FilterPolicy
from .querysets import RepositoryQuerySet
from .results import DeletionResult
from .soft_delete import visibility
from .soft_delete.markers import SoftDeleteSetting
from .types import T
from .verbs import Policies

if TYPE_CHECKING:
    from typing import Self


class Repository(AsyncVerbs[T], Manager[T]):
    """A Django manager with the verbs of a repository.

    Policies are class attributes, because Django rebuilds managers without arguments for related objects.
    Override :meth:`scope` to keep every verb inside a tenant's rows.
    """

    #: Which names a dict filter may use, and its caps.
    filters: ClassVar[FilterPolicy] = FilterPolicy()
    #: What marks a row as deleted: found by itself, found with ``is_active`` too, declared, or switched off.
    soft_delete: ClassVar[SoftDeleteSetting] = "deleted_at"
    #: Whether soft-deleted rows are seen without being asked for.
    shows_deleted: ClassVar[bool] = False

    _queryset_class = RepositoryQuerySet

    @classmethod
    def configured(cls, **policies: Any) -> type[Self]:
        """A subclass with these policies: ``Repository.configured(soft_delete=None)()``.

        Raises:
            TypeError: a name that is no policy.
        """
        unknown = policies.keys() - _POLICIES
        if unknown:
            raise TypeError(f"{min(unknown)!r} is no policy; there are {', '.join(sorted(_POLICIES))}.")
        return type(cls.__name__, (cls,), {"__module__": cls.__module__, **policies})

    def get_queryset(self) -> RepositoryQuerySet[T]:
        queryset: RepositoryQuerySet[T] = super().get_queryset()  # type: ignore[assignment]
        policies = self._own_policies()
        queryset._policies = policies
        if not self.shows_deleted:
            marker = policies.marker(self.model)
            if marker is not None:
                visibility.hide_deleted(queryset, marker)
        if type(self).scope is not Repository.scope:
            queryset = self.scope(queryset)
            scoping.enclose(queryset)
        return queryset

    def scope(self, queryset: RepositoryQuerySet[T]) -> RepositoryQuerySet[T]:
        """Narrow ``queryset`` to the rows this repository is about. Override for tenancy; every verb obeys.

        Conditions added here are the repository's own: they don't make ``delete_all()`` safe to call bare.
        """
        return queryset

    def all(self) -> Any:
        return self.rows()

    def rows(self) -> RepositoryQuerySet[T]:
        rows = self.get_queryset()
        if not hasattr(self, "core_filters"):
            # A subclass may narrow in get_queryset() instead of scope(). The filter of a related manager,
            # which has core_filters, is something the caller asked for and stays a condition of its own.
            scoping.enclose(rows)
        return rows

    def _own_policies(self) -> Policies:
        return Policies(filters=self.filters, soft_delete=self.soft_delete, unfiltered=self.shows_deleted)

    def _update_rows(self, **fields: Any) -> int:
        return self.get_queryset().update(**fields)

    def _delete_rows(self) -> DeletionResult:
        raise TypeError("delete() of a repository takes an entity or a primary key; use delete_all() for sets.")


_POLICIES = frozenset({"filters", "soft_delete"})
