"""``RepositoryAdmin``, of its parts."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from ..context import operation_context
from .deletion import SoftDeleteAdmin
from .versions import VersionedAdmin


class RepositoryAdmin(SoftDeleteAdmin, VersionedAdmin):
    """``ModelAdmin`` for a model with a ``Repository``: soft deletes, restores, versions, attribution.

    Restoring needs the permission ``restore_<model>`` where the model declares it, as every
    ``SoftDeleteModel`` does through its ``Meta``, and the permission to delete elsewhere.
    """

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        with operation_context(user=request.user):
            super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        with operation_context(user=request.user):
            super().save_related(request, form, formsets, change)
