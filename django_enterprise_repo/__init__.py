"""One write path and one read path for Django models.

Everything here is public. Models and managers are imported when they are first asked for: an abstract model
cannot be imported before Django's app registry is ready, and a settings module may well import this package.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .auditing.trail import AuditTrail
    from .caching.counters import CacheInfo
    from .caching.identity import identity_map
    from .caching.signals import cache_degraded
    from .context import OperationContext, current_context, operation_context
    from .models import RepositoryModel, SoftDeleteModel, VersionedModel
    from .operations import Operation, operation_finished
    from .pagination import Page, PaginationRequest, parse_pagination
    from .policies import (
        BreakerPolicy,
        CachePolicy,
        CacheStrategy,
        FilterField,
        FilterPolicy,
        RetentionPolicy,
        RetryPolicy,
        SoftDeletePolicy,
    )
    from .querysets import RepositoryQuerySet, RepositoryQuerySetMixin
    from .repository import Repository
    from .resilience.breakers import circuit_state_changed
    from .resilience.commits import verify_commit
    from .resilience.deadlines import deadline
    from .results import DeletionResult

_HOMES = {
    "AuditTrail": "auditing.trail",
    "BreakerPolicy": "policies",
    "CacheInfo": "caching.counters",
    "CachePolicy": "policies",
    "CacheStrategy": "policies",
    "DeletionResult": "results",
    "FilterField": "policies",
    "FilterPolicy": "policies",
    "Operation": "operations",
    "OperationContext": "context",
    "Page": "pagination",
    "PaginationRequest": "pagination",
    "Repository": "repository",
    "RepositoryModel": "models",
    "RepositoryQuerySet": "querysets",
    "RepositoryQuerySetMixin": "querysets",
    "RetentionPolicy": "policies",
    "RetryPolicy": "policies",
    "SoftDeleteModel": "models",
    "SoftDeletePolicy": "policies",
    "VersionedModel": "models",
    "cache_degraded": "caching.signals",
    "circuit_state_changed": "resilience.breakers",
    "current_context": "context",
    "deadline": "resilience.deadlines",
    "identity_map": "caching.identity",
    "operation_context": "context",
    "operation_finished": "operations",
    "parse_pagination": "pagination",
    "verify_commit": "resilience.commits",
}

__all__ = [
    "AuditTrail",
    "BreakerPolicy",
    "CacheInfo",
    "CachePolicy",
    "CacheStrategy",
    "DeletionResult",
    "FilterField",
    "FilterPolicy",
    "Operation",
    "OperationContext",
    "Page",
    "PaginationRequest",
    "Repository",
    "RepositoryModel",
    "RepositoryQuerySet",
    "RepositoryQuerySetMixin",
    "RetentionPolicy",
    "RetryPolicy",
    "SoftDeleteModel",
    "SoftDeletePolicy",
    "VersionedModel",
    "cache_degraded",
    "circuit_state_changed",
    "current_context",
    "deadline",
    "identity_map",
    "operation_context",
    "operation_finished",
    "parse_pagination",
    "verify_commit",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
