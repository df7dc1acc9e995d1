"""The ledger in the admin: a list of operations, and behind each the rows that it changed."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext_lazy as _

from .models import Operation

#: Most history rows shown of one model.
MOST_ROWS = 200


@admin.register(Operation)
class OperationAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in its stubs only
    """Read only: what happened is not edited."""

    list_display = ("moment", "verb", "model", "added", "changed", "deleted", "restored", "user", "short_reason")
    list_filter = ("verb", "model", "moment")
    list_select_related = ("user",)
    search_fields = ("=correlation_id", "reason", "=id")
    change_form_template = "admin/enterprise_repo_ledger/operation.html"
    show_full_result_count = False

    @admin.display(description=_("reason"))
    def short_reason(self, operation: Operation) -> str:
        reason = operation.reason or ""
        return reason if len(reason) <= 60 else f"{reason[:59]}…"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        operation: Any = self.get_object(request, object_id)
        groups = [] if operation is None else [_group(self, request, *pair) for pair in operation.rows().items()]
        context = {**(extra_context or {}), "groups": [group for group in groups if group]}
        return super().change_view(request, object_id, form_url, context)


def _group(modeladmin: OperationAdmin, request: HttpRequest, model: Any, rows: Any) -> dict[str, Any] | None:
    """The rows of one model, for those who may see them."""
    opts = model._meta
    if not request.user.has_perm(f"{opts.app_label}.view_{opts.model_name}"):
        return None
    shown = list(rows[: MOST_ROWS + 1])
    if not shown:
        return None
    return {
        "name": opts.verbose_name_plural,
        "rows": [
            {
                "kind": row.get_history_type_display(),
                "key": getattr(row, opts.pk.attname) if opts.pk.column else row.instance.pk,
                "url": _url(modeladmin, opts, row),
            }
            for row in shown[:MOST_ROWS]
        ],
        "is_cut": len(shown) > MOST_ROWS,
    }


def _url(modeladmin: OperationAdmin, opts: Any, row: Any) -> str | None:
    """Where the row can be seen, if its model is in this admin and the row still there."""
    if row.history_type == "-":
        return None
    try:
        name = f"{modeladmin.admin_site.name}:{opts.app_label}_{opts.model_name}_change"
        return reverse(name, args=[row.instance.pk])
    except NoReverseMatch:
        return None
