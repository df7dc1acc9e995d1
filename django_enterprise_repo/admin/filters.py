"""The filter in the sidebar that finds deleted rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from ..soft_delete.markers import model_marker


class DeletedListFilter(admin.SimpleListFilter):
    """Alive (the default), deleted, or all rows."""

    title = _("deletion")
    parameter_name = "deleted"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("only", _("Deleted")), ("all", _("All"))]

    def choices(self, changelist: Any) -> Iterator[Any]:
        first, *rest = super().choices(changelist)
        yield {**first, "display": _("Alive")}
        yield from rest

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        marker = model_marker(queryset.model)
        if marker is None or self.value() == "all":
            return queryset
        return queryset.filter(marker.dead() if self.value() == "only" else marker.alive())
