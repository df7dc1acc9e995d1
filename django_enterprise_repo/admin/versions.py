"""The forms of the admin: each carries the version it was opened with, and a save that comes second is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import Model
from django.forms import BaseModelFormSet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext_lazy as _

from ..exceptions import StaleObjectError
from ..forms import RepositoryModelForm, VersionedModelForm, VersionedRowForm
from ..writing.versions import version_field
from .formsets import RowFormSet


def form_for(model: type[Model], form: type[Any]) -> type[Any]:
    """``form`` as one of ours, with the version where ``model`` has one."""
    return based_on(RepositoryModelForm if version_field(model) is None else VersionedModelForm, form)


def row_form_for(model: type[Model], form: type[Any]) -> type[Any]:
    """``form`` as one of ours, for one row among others."""
    return based_on(RepositoryModelForm if version_field(model) is None else VersionedRowForm, form)


def based_on(base: type[Any], declared: type[Any]) -> type[Any]:
    """``declared`` with ``base`` before it, unless it inherits from that already."""
    return declared if issubclass(declared, base) else type(declared.__name__, (base, declared), {})


def without_version(fieldsets: Any) -> list[tuple[Any, dict[str, Any]]]:
    """``fieldsets`` without the hidden version, which Django counts among the fields of the form and would label."""
    return [
        (name, {**options, "fields": [field for field in options["fields"] if field != "held_version"]})
        for name, options in fieldsets
    ]


class VersionedAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in its stubs only
    """The part of ``RepositoryAdmin`` that opens forms and notices what was saved meanwhile."""

    def __init__(self, model: type[Any], admin_site: Any) -> None:
        super().__init__(model, admin_site)
        self.form = form_for(model, self.form)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if "form" in kwargs:
            kwargs["form"] = form_for(self.model, kwargs["form"])
        return super().get_form(request, obj, change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if version_field(self.model) is None:
            return fieldsets
        shown = without_version(fieldsets)
        if obj is None or not self.has_change_permission(request, obj):
            return shown
        # A hidden field that is in no fieldset would not be rendered, and every edit would look stale.
        (name, options), *rest = shown
        return [(name, {**options, "fields": [*options["fields"], "held_version"]}), *rest]

    def get_changelist_formset(self, request: HttpRequest, **kwargs: Any) -> Any:
        kwargs["formset"] = based_on(RowFormSet, kwargs.get("formset", BaseModelFormSet))
        formset: Any = super().get_changelist_formset(request, **kwargs)
        # Afterwards, as get_changelist_form() is overridden with forms of any kind.
        formset.form = row_form_for(self.model, formset.form)
        return formset

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        view = super().changeform_view
        return self._unless_overtaken(request, lambda: view(request, object_id, form_url, extra_context))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        view = super().changelist_view
        return self._unless_overtaken(request, lambda: view(request, extra_context))

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        view = super().delete_view
        return self._unless_overtaken(request, lambda: view(request, object_id, extra_context))

    def _unless_overtaken(self, request: HttpRequest, view: Callable[[], HttpResponse]) -> HttpResponse:
        try:
            return view()
        except StaleObjectError:
            # The form was checked and found fresh; somebody saved in the moment since.
            self.message_user(
                request, str(_("Somebody else saved this row just now. Nothing of yours was written.")), messages.ERROR
            )
            return HttpResponseRedirect(request.get_full_path())
