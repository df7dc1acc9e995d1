"""Which models are cached, where, and whose changes concern them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import ceil
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from django.apps import apps
from django.db.models import Model

from ..policies import CachePolicy


class Cached(NamedTuple):
    """A cached model whose rows a change of another one, or of itself, may be part of.

    Attributes:
        model: the concrete model.
        locks: for how many seconds a written row is locked, by cache alias.
        keeps_absence: whether a cache remembers that there is no such row.
        same_key: whether the changed row and the cached one have the same primary key.
    """

    model: type[Model]
    locks: Mapping[str, int]
    keeps_absence: bool
    same_key: bool


_cached: WeakKeyDictionary[type[Model], tuple[Cached, ...]] = WeakKeyDictionary()


def cached_by(model: type[Model]) -> tuple[Cached, ...]:
    """The cached models that share a table with ``model``, itself included."""
    found = _cached.get(model)
    if found is None:
        found = _cached[model] = tuple(_find(model))
    return found


def all_cached() -> tuple[Cached, ...]:
    """Every cached model."""
    concrete = dict.fromkeys(_concrete(model) for model in _models())
    return tuple(each for model in concrete for each in cached_by(model) if each.model is model)


def tables_of(model: type[Model]) -> frozenset[str]:
    """The tables that a row of ``model`` is in, in lower case."""
    return frozenset(each._meta.db_table.lower() for each in _line(_concrete(model)))


def forget_all() -> None:
    """Look again who is cached: for tests that make models or change policies."""
    _cached.clear()


def _find(model: type[Model]) -> Iterator[Cached]:
    line = _line(_concrete(model))
    others = {_concrete(other) for other in (*_models(), model)}
    for other in sorted(others, key=lambda each: each._meta.label):
        if line.isdisjoint(_line(other)):
            continue
        policies = list(_policies(other))
        if policies:
            locks: dict[str, int] = {}
            for policy in policies:
                locks[policy.alias] = max(locks.get(policy.alias, 0), ceil(policy.lock_ttl))
            keeps_absence = any(policy.negative_ttl is not None for policy in policies)
            yield Cached(other, locks, keeps_absence, _is_one_key(line) and _is_one_key(_line(other)))


def _policies(concrete: type[Model]) -> Iterator[CachePolicy]:
    """The policies of the repositories of a model and of its proxies."""
    for model in {concrete, *_models()}:
        if _concrete(model) is concrete:
            for manager in model._meta.managers:
                policy = getattr(manager, "cache", None)
                if isinstance(policy, CachePolicy):
                    yield policy


def _models() -> list[type[Model]]:
    return apps.get_models(include_auto_created=True)


def _concrete(model: type[Model]) -> type[Model]:
    return model._meta.concrete_model or model


def _line(model: type[Model]) -> frozenset[type[Model]]:
    """``model`` and those it inherits a table from."""
    return frozenset({model, *model._meta.all_parents})


def _is_one_key(line: frozenset[Any]) -> bool:
    """Whether the rows of a line of models have one key: each child's is its link to the parent."""
    return all(link is not None and link.primary_key for model in line for link in model._meta.parents.values())
