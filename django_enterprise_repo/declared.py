"""Policies that belong to a database and are declared by the repositories on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.db import router

from . import conf
from .policies import BreakerPolicy
from .repository import Repository


def breaker_policy(alias: str) -> BreakerPolicy:
    """The policy of the circuit breaker of ``alias``: the project's, else what a repository there declares."""
    return conf.breaker_policy(alias) or next((policy for _, policy in declared_breakers(alias)), BreakerPolicy())


def declared_breakers(alias: str) -> Iterator[tuple[Any, BreakerPolicy]]:
    """The breaker policies that repositories on ``alias`` declare, and who declares them."""
    for model in apps.get_models():
        for manager in model._meta.managers:
            policy = manager.breaker if isinstance(manager, Repository) else None
            if isinstance(policy, BreakerPolicy) and alias in (manager.db, router.db_for_write(model)):
                yield manager, policy
