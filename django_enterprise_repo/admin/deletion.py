"""Deleted rows in the admin: which are seen, what deleting does and says, and how rows come back."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected
from django.contrib.auth import get_permission_codename
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, router, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from ..context import operation_context
from ..querysets import RepositoryQuerySetMixin
from ..soft_delete import visibility
from ..soft_delete.markers import Marker
from .filters import DeletedListFilter
from .rows import protectors, repository_beside, repository_of, soft_marker


class SoftDeleteAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in its stubs only
    """The part of ``RepositoryAdmin`` that deletes and restores."""

    delete_confirmation_template = "admin/enterprise_repo/delete_confirmation.html"
    delete_selected_confirmation_template = "admin/enterprise_repo/delete_selected_confirmation.html"
    actions = ("restore_selected",)

    # Which rows are seen.

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        queryset = super().get_queryset(request)
        marker = self._marker()
        if marker is not None and _is_autocomplete(request):
            return queryset.filter(marker.alive())  # what it offers is chosen in forms, and they refuse deleted rows
        visibility.show_deleted(queryset)
        return queryset

    def get_list_filter(self, request: HttpRequest) -> Any:
        declared = super().get_list_filter(request)
        return (DeletedListFilter, *declared) if self._marker() else declared

    # Restoring.

    @admin.action(description=_("Restore selected %(verbose_name_plural)s"), permissions=["restore"])
    def restore_selected(self, request: HttpRequest, queryset: Any) -> None:
        rows = self._with_verbs(queryset).only_deleted()
        try:
            with transaction.atomic(using=router.db_for_write(self.model)), operation_context(user=request.user):
                deleted = list(rows)
                count = rows.restore_all(everything=True)
                for entity in deleted:
                    self.log_change(request, entity, [{"changed": {"name": str(_("deletion")), "object": str(entity)}}])
        except IntegrityError:
            text = _("Nothing was restored: a living row has taken a unique value of one of the selected rows.")
            self.message_user(request, str(text), messages.ERROR)
            return
        message = ngettext("%(count)d row was restored.", "%(count)d rows were restored.", count) % {"count": count}
        self.message_user(request, message, messages.SUCCESS)

    def has_restore_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        declared = {*self.opts.default_permissions, *(codename for codename, _name in self.opts.permissions)}
        codename = get_permission_codename("restore", self.opts)
        if not {"restore", codename} & declared:
            return self.has_delete_permission(request, obj)
        return bool(request.user.has_perm(f"{self.opts.app_label}.{codename}"))

    # Deleting.

    def get_actions(self, request: HttpRequest, action_location: Any = None) -> Any:
        # Django 6.1 tells where the actions are offered; before, there was one place.
        where = () if action_location is None else (action_location,)
        actions: Any = super().get_actions(request, *where)
        if self._marker() is None:
            actions.pop("restore_selected", None)
        elif "delete_selected" in actions:
            actions["delete_selected"] = self.get_action(_soft_delete_selected, *where)
        return actions

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        marker = self._marker()
        if obj is not None and marker is not None and marker.is_deleted(obj):
            return False  # there is nothing left to mark
        return super().has_delete_permission(request, obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        if self._marker() is None:
            return super().get_deleted_objects(objs, request)
        # A soft delete takes these rows and nothing else; what stands in its way is asked of the write path.
        entities = list(objs)
        perms = set() if self.has_delete_permission(request) else {self.opts.verbose_name}
        protected = protectors(self.model._base_manager.filter(pk__in=[entity.pk for entity in entities]))
        counts = {self.opts.verbose_name_plural: len(entities)}
        return [str(entity) for entity in entities], counts, perms, [str(blocking) for blocking in protected]

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        repository = repository_beside(self.model)
        with operation_context(user=request.user):
            if repository is None:
                super().delete_model(request, obj)
            else:
                repository.delete(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        with operation_context(user=request.user):
            super().delete_queryset(request, self._with_verbs(queryset))

    def response_delete(self, request: HttpRequest, obj_display: str, obj_id: Any) -> HttpResponse:
        response = super().response_delete(request, obj_display, obj_id)
        if self._marker() is not None and not isinstance(response, TemplateResponse):
            # Django has just queued "was deleted successfully", which is not what happened.
            list(messages.get_messages(request))
            text = _("“%(object)s” was marked as deleted. It can be restored.") % {"object": obj_display}
            self.message_user(request, text, messages.SUCCESS)
        return response

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        return super().delete_view(request, object_id, {**(extra_context or {}), "is_soft": self._marker() is not None})

    def _marker(self) -> Marker | None:
        return soft_marker(self.model)

    def _with_verbs(self, queryset: Any) -> Any:
        """The same rows from the repository, where the admin lists those of another manager."""
        repository = repository_of(self.model)
        if repository is None or isinstance(queryset, RepositoryQuerySetMixin):
            return queryset
        return repository.with_deleted().filter(pk__in=list(queryset.values_list("pk", flat=True)))


def _is_autocomplete(request: HttpRequest) -> bool:
    match = getattr(request, "resolver_match", None)
    return match is not None and match.url_name == "autocomplete"


@admin.action(description=_("Mark selected %(verbose_name_plural)s as deleted"), permissions=["delete"])
def _soft_delete_selected(modeladmin: SoftDeleteAdmin, request: HttpRequest, queryset: Any) -> Any:
    """The bulk action: Django's confirmation page, then a soft delete that says what it did."""
    marker = modeladmin._marker()
    assert marker is not None
    living = queryset.filter(marker.alive())  # the list of all rows shows deleted ones too
    entities = list(living)
    if not entities:
        modeladmin.message_user(request, str(_("The selected rows are deleted already.")), messages.WARNING)
        return None
    if not request.POST.get("post"):
        return _confirmation(modeladmin, request, living)
    _objects, _counts, perms_needed, protected = modeladmin.get_deleted_objects(entities, request)
    if perms_needed:
        raise PermissionDenied
    if protected:
        return _confirmation(modeladmin, request, living)
    with transaction.atomic(using=router.db_for_write(queryset.model)):
        modeladmin.log_deletions(request, living)
        modeladmin.delete_queryset(request, living)
    count = len(entities)
    message = ngettext("%(count)d row was marked as deleted.", "%(count)d rows were marked as deleted.", count)
    modeladmin.message_user(request, message % {"count": count}, messages.SUCCESS)
    return None


# Django keys actions by this name, and so does whoever removes the action from an admin.
_soft_delete_selected.__name__ = "delete_selected"


def _confirmation(modeladmin: SoftDeleteAdmin, request: HttpRequest, queryset: Any) -> Any:
    response = delete_selected(modeladmin, request, queryset)
    if isinstance(response, TemplateResponse) and response.context_data is not None:
        response.context_data["is_soft"] = True
    return response
