"""One write path and one read path for Django models.

Everything here is public. Models and managers are imported when they are first asked for: an abstract model
cannot be imported before Django's app registry is ready, and a settings module may well import this package.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .auditing.trail import AuditTrail
    from .context import OperationContext, current_context, operation_context
    from .models import RepositoryModel, SoftDeleteModel, VersionedModel
    from .operations import Operation, operation_finished
    from .pagination import Page, PaginationRequest, parse_pagination
    from .policies import FilterField, FilterPolicy, RetentionPolicy, SoftDeletePolicy
    from .querysets import RepositoryQuerySet, RepositoryQuerySetMixin
    from .repository import Repository
    from .results import DeletionResult

_HOMES = {
    "AuditTrail": "auditing.trail",
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
    "SoftDeleteModel": "models",
    "SoftDeletePolicy": "policies",
    "VersionedModel": "models",
    "current_context": "context",
    "operation_context": "context",
    "operation_finished": "operations",
    "parse_pagination": "pagination",
}

__all__ = [
    "AuditTrail",
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
    "SoftDeleteModel",
    "SoftDeletePolicy",
    "VersionedModel",
    "current_context",
    "operation_context",
    "operation_finished",
    "parse_pagination",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
