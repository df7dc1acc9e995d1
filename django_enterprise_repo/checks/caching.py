"""Checks of cached rows: what would make them wrong, what would leave them uncached, and what would make them slow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.cache import BaseCache, caches
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router
from django.db.models import Model

from ..caching.keys import has_exact_keys
from ..caching.serializers import carries_bytes
from ..models import RepositoryModel
from ..policies import CachePolicy, CacheStrategy
from ..repository import Repository
from ..resilience.guards import guard_of
from . import cache_backends

GUIDE = "See docs/how-to/caching.md."
#: What a backend raises for settings that it cannot use; it hands some of them to a driver unseen.
_UNUSABLE = (ImportError, ImproperlyConfigured, KeyError, TypeError, ValueError)


def register_caching_checks() -> None:
    """Called once, when the app is ready."""
    register(check_cache_policies, Tags.models)
    register(check_cached_models, Tags.models)
    register(check_caches, Tags.caches)
    register(check_processes, Tags.caches, deploy=True)


def check_cache_policies(app_configs: Sequence[Any] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """The ``cache`` of every repository is a policy that can be had."""
    problems: list[CheckMessage] = []
    for repository in _repositories(app_configs):
        model: type[Model] = repository.model
        policy: Any = repository.cache
        if policy is None:
            continue
        if not isinstance(policy, CachePolicy):
            problems.append(
                Error(
                    f"{model._meta.label}: cache is neither a CachePolicy nor None.",
                    hint=GUIDE,
                    obj=model,
                    id="enterprise_repo.E012",
                )
            )
        elif policy.strategy is CacheStrategy.WRITE_THROUGH:
            problems.append(
                Error(
                    f"{model._meta.label}: CacheStrategy.WRITE_THROUGH needs the strict protocol, which comes later.",
                    hint="Use CacheStrategy.READ_THROUGH, which is the default.",
                    obj=model,
                    id="enterprise_repo.E013",
                )
            )
    return problems


def check_cached_models(app_configs: Sequence[Any] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """The rows of models with a cache policy can be cached, and are, and every change of them is seen."""
    repositories: dict[type[Model], list[Repository[Any]]] = {}
    for repository in _cached(app_configs):
        repositories.setdefault(repository.model, []).append(repository)
    problems: list[CheckMessage] = []
    for model, cached in repositories.items():
        problems += _unsupported(model)
        problems += _inexact(model)
        problems += _unseen(model)
        if all(repository._narrows or repository._reads_otherwise for repository in cached):
            problems.append(_idle(model))
    return problems


def check_caches(app_configs: Sequence[Any] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """The caches of cached rows carry bytes, say when they fail, are one server to everybody, and never hang."""
    problems: list[CheckMessage] = []
    for alias in _aliases(_cached(app_configs)):
        try:
            problems += _problems_of(alias)
        except _UNUSABLE as error:
            problems.append(_unusable(alias, type(error).__qualname__))
    return problems


def check_processes(app_configs: Sequence[Any] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """What one process caches the others know of."""
    return [
        Warning(
            f"Rows are cached in {alias!r}, which every process has for itself.",
            hint=(
                "With more than one process a row that another one has changed stays as it was until CachePolicy.ttl "
                "is over. Use Redis or memcached, or silence this where there is one process."
            ),
            id="enterprise_repo.W009",
        )
        for alias in _aliases(_cached(app_configs))
        if (cache := _made(alias)) is not None and cache_backends.is_locmem(cache)
    ]


def _unsupported(model: type[Model]) -> Iterator[CheckMessage]:
    from ..caching.codec import unsupported_fields  # imports msgspec

    names = ", ".join(field.name for field in unsupported_fields(model))
    if names:
        yield Error(
            f"{model._meta.label} has a cache policy and fields that no cache can hold exactly: {names}.",
            hint="Declare them with caching.codec.register_field(), or take the policy from the repository.",
            obj=model,
            id="enterprise_repo.E016",
        )


def _inexact(model: type[Model]) -> Iterator[CheckMessage]:
    alias = router.db_for_write(model)
    if not has_exact_keys(model, connections[alias].vendor):
        yield Error(
            f"{model._meta.label} has a cache policy, and a primary key that {alias!r} compares in a way of its own.",
            hint=(
                "One row has several keys there, as 'a' and 'A', and would be cached under one of them and "
                "invalidated under another. Use integers or UUIDs, or take the policy from the repository."
            ),
            obj=model,
            id="enterprise_repo.E017",
        )


def _unseen(model: type[Model]) -> Iterator[CheckMessage]:
    alias = router.db_for_write(model)
    if not issubclass(model, RepositoryModel) and not guard_of(connections[alias]).sees_everything:
        yield Warning(
            f"{model._meta.label} has a cache policy, and its instance.save() and delete() are not seen.",
            hint=(
                "Inherit RepositoryModel. Or use an engine of this package for the database, with which such a save "
                "locks all cached rows of the model."
            ),
            obj=model,
            id="enterprise_repo.W011",
        )


def _idle(model: type[Model]) -> CheckMessage:
    return Warning(
        f"{model._meta.label} has a cache policy that does nothing.",
        hint=(
            "Rows are cached for a repository that has all of them and reads them as Django does. This one overrides "
            "scope() or get_queryset(), or its queryset overrides a method."
        ),
        obj=model,
        id="enterprise_repo.W012",
    )


def _problems_of(alias: str) -> Iterator[CheckMessage]:
    if alias not in settings.CACHES:
        yield _unusable(alias, "not in CACHES")
        return
    cache: BaseCache = caches[alias]
    reason = carries_bytes(alias)
    if reason:
        yield Error(
            f"Rows are not cached in {alias!r}, which is not safe to read: {reason}",
            hint="Give cached rows a cache that carries bytes only. See docs/how-to/caching.md.",
            id="enterprise_repo.E015",
        )
    option = cache_backends.swallowing_option(cache)
    if option:
        yield Error(
            f"The cache {alias!r} doesn't say when it fails ({option}), so locks would be lost and stale rows read.",
            hint="Take the option away. A cache that fails breaks no read here: it is left alone for a while.",
            id="enterprise_repo.E018",
        )
    if cache_backends.may_answer_otherwise(cache):
        yield Error(
            f"The cache {alias!r} has several servers, and what was written to one may be asked of another.",
            hint="Name one server in LOCATION. Replicas lag, and memcached's keys wander when a server is away.",
            id="enterprise_repo.E019",
        )
    missing = ", ".join(cache_backends.missing_timeouts(cache))
    if missing:
        yield Warning(
            f"The cache {alias!r} may keep every read waiting for ever: {missing} not set.",
            hint="Set them in OPTIONS to a fraction of a second.",
            id="enterprise_repo.W008",
        )
    if cache_backends.is_small(cache):
        yield Warning(
            f"The cache {alias!r} drops a third of what it holds, locks included, at {cache_backends.LOCMEM_DEFAULT} "
            "entries or less.",
            hint='Set OPTIONS["MAX_ENTRIES"] to more than three times the rows that are to be cached.',
            id="enterprise_repo.W010",
        )


def _unusable(alias: str, why: str) -> CheckMessage:
    return Error(
        f"Rows are to be cached in {alias!r}, and there is no such cache ({why}).",
        hint=f"CachePolicy.alias names one of CACHES. {GUIDE}",
        id="enterprise_repo.E014",
    )


def _made(alias: str) -> BaseCache | None:
    """The cache, if there is one; another check says why there is none."""
    try:
        return caches[alias]
    except _UNUSABLE:
        return None


def _aliases(repositories: Iterable[Repository[Any]]) -> list[str]:
    return sorted({repository.cache.alias for repository in repositories if repository.cache is not None})


def _cached(app_configs: Sequence[Any] | None) -> Iterator[Repository[Any]]:
    return (each for each in _repositories(app_configs) if isinstance(each.cache, CachePolicy))


def _repositories(app_configs: Sequence[Any] | None) -> Iterator[Repository[Any]]:
    for config in app_configs or apps.get_app_configs():
        for model in config.get_models():
            for manager in model._meta.managers:
                if isinstance(manager, Repository):
                    yield manager
