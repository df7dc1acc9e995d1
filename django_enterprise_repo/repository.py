"""The manager that a model declares: ``objects = Repository()``."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import router
from django.db.models import Manager

from . import scoping
from .aio import AsyncVerbs
from .caching.compiled import KeyedRead, keyed_read
from .caching.counters import CacheInfo, cache_counts
from .operations import OperationCounts, counts
from .policies import BreakerPolicy, CachePolicy, FilterPolicy, Project, RetentionPolicy, RetryPolicy
from .querysets import RepositoryQuerySet, RepositoryQuerySetMixin
from .results import DeletionResult
from .soft_delete import visibility
from .soft_delete.markers import SoftDeleteSetting
from .types import T
from .verbs import Policies
from .verbs.keyed import primary_key
from .verbs.rows import is_related

if TYPE_CHECKING:
    from typing import Self

    from .health import Report


class Repository(AsyncVerbs[T], Manager[T]):
    """A Django manager with the verbs of a repository.

    Policies are class attributes, because Django rebuilds managers without arguments for related objects.
    Override :meth:`scope` to keep every verb inside a tenant's rows.
    """

    #: Which names a dict filter may use, and its caps.
    filters: ClassVar[FilterPolicy] = FilterPolicy()
    #: What marks a row as deleted: found by itself, found with ``is_active`` too, declared, or switched off.
    soft_delete: ClassVar[SoftDeleteSetting] = "deleted_at"
    #: How long the model's history is kept: for ever, where nothing is said.
    retention: ClassVar[RetentionPolicy | None] = None
    #: How often an operation is tried and how long it may take: as the project's settings say, or a policy of its
    #: own; ``None`` tries once.
    retry: ClassVar[RetryPolicy | Project | None] = "project"
    #: When the database of this repository counts as unavailable: as the project's settings say, or a policy, on
    #: which all repositories of one database have to agree; ``None`` keeps these operations away from the breaker.
    breaker: ClassVar[BreakerPolicy | Project | None] = "project"
    #: How rows that are read by their key are cached; ``None`` does not.
    cache: ClassVar[CachePolicy | None] = None
    #: Whether soft-deleted rows are seen without being asked for.
    shows_deleted: ClassVar[bool] = False

    _queryset_class = RepositoryQuerySet
    # Whether a subclass has a say in which rows these are, or in how a queryset reads them.
    _narrows: ClassVar[bool] = False
    _reads_otherwise: ClassVar[bool] = False

    @classmethod
    def configured(cls, **policies: Any) -> type[Self]:
        """A subclass with these policies: ``Repository.configured(soft_delete=None)()``.

        Raises:
            TypeError: a name that is no policy.
        """
        unknown = policies.keys() - _POLICIES
        if unknown:
            raise TypeError(f"{min(unknown)!r} is no policy; there are {', '.join(sorted(_POLICIES))}.")
        # Under a name of its own, so that Django refuses to write it into a migration as the class it came from.
        return type(f"Configured{cls.__name__}", (cls,), {"__module__": cls.__module__, **policies})

    @classmethod
    def from_queryset(cls, queryset_class: Any, class_name: str | None = None) -> Any:
        """Django's own; a verb that ``queryset_class`` overrides is overridden in the repository too.

        ``queryset_class`` has to inherit :class:`RepositoryQuerySet` or its mixin; a system check says so.
        """
        manager: Any = super().from_queryset(queryset_class, class_name)
        for name in dir(AsyncVerbs):
            method = getattr(queryset_class, name, None)
            is_own = inspect.isfunction(method) and method is not getattr(RepositoryQuerySet, name)
            if is_own and not name.startswith("_") and issubclass(queryset_class, RepositoryQuerySetMixin):
                setattr(manager, name, _through_queryset(name, method))
        return manager

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

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        narrowing = vars(cls).get("get_queryset")
        if narrowing is not None:
            # A subclass may narrow its rows here instead of in scope(): they are the repository's own as well.
            cls.get_queryset = _enclosing(narrowing)  # type: ignore[assignment,method-assign]
        cls._narrows = cls.scope is not Repository.scope or cls.get_queryset is not Repository.get_queryset
        cls._reads_otherwise = _overrides_any(cls._queryset_class, RepositoryQuerySet)

    def scope(self, queryset: RepositoryQuerySet[T]) -> RepositoryQuerySet[T]:
        """Narrow ``queryset`` to the rows this repository is about. Override for tenancy; every verb obeys.

        Conditions added here are the repository's own: they don't make ``delete_all()`` safe to call bare.
        """
        return queryset

    def metrics(self) -> OperationCounts:
        """What became of this model's operations in this process so far, on whichever manager and database."""
        return counts.of(self.model)

    async def ametrics(self) -> OperationCounts:
        """:meth:`metrics` for async code; nothing is waited for."""
        return self.metrics()

    def cache_info(self) -> CacheInfo:
        """What became of the reads of this model by key that asked a cache, in this process so far."""
        return cache_counts.of(self.model)

    def clear_cache(self, pk: Any = None) -> None:
        """Forget the cached row with this primary key, or all cached rows of the model, in every cache that has them.

        What is being read at this moment is not put back. The rows are cached again when ``lock_ttl`` has passed.
        """
        from .caching import fences

        alias = self._write_alias(None)
        if pk is None:
            fences.clear_model(alias, self.model)
        else:
            fences.clear_row(alias, self.model, primary_key(self.model, pk))

    async def acache_info(self) -> CacheInfo:
        """:meth:`cache_info` for async code; nothing is waited for."""
        return self.cache_info()

    async def aclear_cache(self, pk: Any = None) -> None:
        """:meth:`clear_cache` for async code."""
        await sync_to_async(self.clear_cache)(pk)

    def rows(self) -> RepositoryQuerySet[T]:
        rows = self.get_queryset()
        # Of a prefetched relation Django answers the loaded queryset itself, which is not ours to change.
        return rows if rows._result_cache is None else rows._chain()

    def health(self, *, timeout: float | None = None) -> Report:
        """How the databases are that this repository reads from and writes to (connections, breakers, migrations), and
        the cache that its policy names.

        The answer is there within ``timeout`` seconds, ``ENTERPRISE_REPO["HEALTH"]["timeout"]`` where none are given.
        """
        from .health import examine  # which needs Django's migrations

        aliases = (self.db, self._db or router.db_for_write(self.model))
        policy: Any = self.cache  # a check complains of what is neither a policy nor the name of a cache
        caches = [policy.alias] if isinstance(policy, CachePolicy) and policy.alias in settings.CACHES else []
        checks = ("database", "circuit_breaker", "migrations", *(("cache", "row_cache") if caches else ()))
        return examine(checks, databases=aliases, caches=caches, timeout=timeout)

    async def ahealth(self, *, timeout: float | None = None) -> Report:
        """:meth:`health` for async code. It waits in a thread that no query of the context's own has to wait for."""
        return await sync_to_async(self.health, thread_sensitive=False)(timeout=timeout)

    def _may_be_narrowed(self) -> bool:
        return self._narrows or is_related(self)

    def _keyed_read(self, alias: str) -> KeyedRead | None:
        return None if self._narrows or self._reads_otherwise else keyed_read(alias, self)

    @property
    def _cache_policy(self) -> CachePolicy | None:
        return self.cache

    def _own_policies(self) -> Policies:
        return Policies(self.filters, self.soft_delete, self.shows_deleted, self.retry, self.breaker)

    def _update_rows(self, **fields: Any) -> int:
        return self.get_queryset().update(**fields)

    def _delete_rows(self) -> DeletionResult:
        raise TypeError("delete() of a repository takes an entity or a primary key; use delete_all() for sets.")


def _through_queryset(name: str, method: Any) -> Any:
    @wraps(method)
    def verb(self: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(self.rows(), name)(*args, **kwargs)

    return verb


def _enclosing(get_queryset: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """``get_queryset`` whose conditions are told apart from what callers filter for."""

    @wraps(get_queryset)
    def enclosing(self: Any) -> Any:
        rows = get_queryset(self)
        # What a related manager adds is the relation, which the caller asked for.
        if not is_related(self):
            scoping.enclose(rows)
        return rows

    return enclosing


def _overrides_any(cls: type, base: type) -> bool:
    """Whether ``cls`` changes anything that ``base`` has."""
    added = {name for own in cls.__mro__ if own not in base.__mro__ for name in vars(own)}
    return not added.isdisjoint(set(dir(base)) - _CLASS_DATA)


#: What every class has of its own.
_CLASS_DATA = frozenset(dir(type("Empty", (), {}))) - {"__init__"} | {"__annotations__", "__orig_bases__", "__slots__"}

_POLICIES = frozenset({"breaker", "cache", "filters", "retention", "retry", "soft_delete"})
