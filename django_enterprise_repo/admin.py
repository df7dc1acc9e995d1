"""The admin over a repository: deleted rows can be found and brought back, and deleting says what it does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected
from django.contrib.auth import get_permission_codename
from django.core.exceptions import PermissionDenied
from django.db import router, transaction
from django.db.models import ProtectedError, QuerySet, RestrictedError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from . import writing
from .context import operation_context
from .exceptions import StaleObjectError
from .forms import VersionedModelForm
from .repository import Repository
from .soft_delete import visibility
from .soft_delete.markers import Marker, model_marker
from .soft_delete.protection import refuse_protected


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


class RepositoryAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """``ModelAdmin`` for a model with a ``Repository``: soft deletes, restores, versions, attribution.

    Restoring needs the permission ``restore_<model>`` where the model declares it, as every
    ``SoftDeleteModel`` does through its ``Meta``, and the permission to delete elsewhere.
    """

    delete_confirmation_template = "admin/enterprise_repo/delete_confirmation.html"
    delete_selected_confirmation_template = "admin/enterprise_repo/delete_selected_confirmation.html"
    actions = ("restore_selected",)

    # Which rows are seen.

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        queryset = super().get_queryset(request)
        if isinstance(self.model._default_manager, Repository):
            visibility.show_deleted(queryset)
        return queryset

    def get_list_filter(self, request: HttpRequest) -> Any:
        declared = super().get_list_filter(request)
        return (DeletedListFilter, *declared) if self._marker() else declared

    # Deleting and restoring.

    def get_actions(self, request: HttpRequest, action_location: Any = None) -> Any:
        # Django 6.1 tells where the actions are offered; before, there was one place.
        where = () if action_location is None else (action_location,)
        actions: Any = super().get_actions(request, *where)
        if self._marker() is None:
            actions.pop("restore_selected", None)
        elif "delete_selected" in actions:
            actions["delete_selected"] = self.get_action(_soft_delete_selected, *where)
        return actions

    @admin.action(description=_("Restore selected %(verbose_name_plural)s"), permissions=["restore"])
    def restore_selected(self, request: HttpRequest, queryset: Any) -> None:
        with transaction.atomic(using=router.db_for_write(self.model)), operation_context(user=request.user):
            deleted = list(queryset.only_deleted())
            count = queryset.restore_all(everything=True)
            for entity in deleted:
                self.log_change(request, entity, [{"changed": {"name": str(_("deletion")), "object": str(entity)}}])
        message = ngettext("%(count)d row was restored.", "%(count)d rows were restored.", count) % {"count": count}
        self.message_user(request, message, messages.SUCCESS)

    def has_restore_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        declared = {*self.opts.default_permissions, *(codename for codename, _name in self.opts.permissions)}
        codename = get_permission_codename("restore", self.opts)
        if not {"restore", codename} & declared:
            return self.has_delete_permission(request, obj)
        return bool(request.user.has_perm(f"{self.opts.app_label}.{codename}"))

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
        protected: list[str] = []
        try:
            refuse_protected(self.model._base_manager.filter(pk__in=[entity.pk for entity in entities]))
        except ProtectedError as error:
            protected = [str(blocking) for blocking in error.protected_objects]
        except RestrictedError as error:
            protected = [str(blocking) for blocking in error.restricted_objects]
        counts = {self.opts.verbose_name_plural: len(entities)}
        return [str(entity) for entity in entities], counts, perms, protected

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        with operation_context(user=request.user):
            super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        with operation_context(user=request.user):
            super().delete_queryset(request, queryset)

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

    # Saving with the version that the form was opened with.

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if writing.versions.version_field(self.model) is not None:
            base = kwargs.get("form", self.form)
            if not issubclass(base, VersionedModelForm):
                kwargs["form"] = type(base.__name__, (VersionedModelForm, base), {})
        return super().get_form(request, obj, change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if writing.versions.version_field(self.model) is None or any(
            "held_version" in options["fields"] for _name, options in fieldsets
        ):
            return fieldsets
        # A hidden field that is in no fieldset would not be rendered, and every edit would look stale.
        (name, options), *rest = fieldsets
        return [(name, {**options, "fields": [*options["fields"], "held_version"]}), *rest]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        with operation_context(user=request.user):
            super().save_model(request, obj, form, change)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except StaleObjectError:
            # The form was checked and found fresh; somebody saved in the moment since.
            self.message_user(
                request, str(_("Somebody else saved this row just now. Nothing of yours was written.")), messages.ERROR
            )
            return HttpResponseRedirect(request.get_full_path())

    def _marker(self) -> Marker | None:
        return model_marker(self.model)


@admin.action(description=_("Mark selected %(verbose_name_plural)s as deleted"), permissions=["delete"])
def _soft_delete_selected(modeladmin: RepositoryAdmin, request: HttpRequest, queryset: Any) -> Any:
    """The bulk action: Django's confirmation page, then a soft delete that says what it did."""
    if not request.POST.get("post"):
        return _confirmation(modeladmin, request, queryset)
    entities = list(queryset)
    _objects, _counts, perms_needed, protected = modeladmin.get_deleted_objects(entities, request)
    if perms_needed:
        raise PermissionDenied
    if protected:
        return _confirmation(modeladmin, request, queryset)
    with transaction.atomic(using=router.db_for_write(queryset.model)):
        modeladmin.log_deletions(request, queryset)
        modeladmin.delete_queryset(request, queryset)
    count = len(entities)
    message = ngettext("%(count)d row was marked as deleted.", "%(count)d rows were marked as deleted.", count)
    modeladmin.message_user(request, message % {"count": count}, messages.SUCCESS)
    return None


# Django keys actions by this name, and so does whoever removes the action from an admin.
_soft_delete_selected.__name__ = "delete_selected"


def _confirmation(modeladmin: RepositoryAdmin, request: HttpRequest, queryset: Any) -> Any:
    response = delete_selected(modeladmin, request, queryset)
    if isinstance(response, TemplateResponse) and response.context_data is not None:
        response.context_data["is_soft"] = True
    return response


__all__ = ["DeletedListFilter", "RepositoryAdmin"]
