"""Children of a repository inside the form of their parent."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.options import InlineModelAdmin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms.formsets import DELETION_FIELD_NAME
from django.http import HttpRequest
from django.utils.text import get_text_list
from django.utils.translation import gettext_lazy as _

from .formsets import RowFormSet
from .rows import protectors, soft_marker
from .versions import based_on, row_form_for, without_version


class RepositoryInline(InlineModelAdmin):  # type: ignore[type-arg]  # generic in its stubs only
    """An inline of living rows: deleted softly where their model can, and written only as they were seen."""

    def __init__(self, parent_model: type[Any], admin_site: Any) -> None:
        super().__init__(parent_model, admin_site)
        self.form = row_form_for(self.model, self.form)
        self.formset = based_on(RowFormSet, self.formset)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        queryset = super().get_queryset(request)
        marker = soft_marker(self.model)
        return queryset if marker is None else queryset.filter(marker.alive())

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return without_version(super().get_fieldsets(request, obj))

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        formset: Any = super().get_formset(request, obj, **kwargs)
        if soft_marker(self.model) is not None:
            # Django asks here what its own deletion would meet, which takes children along and knows no deleted ones.
            formset.form.hand_clean_DELETE = _refuse_protected
        return formset


class RepositoryTabularInline(RepositoryInline, admin.TabularInline):  # type: ignore[type-arg]  # generic in its stubs only
    """A ``TabularInline`` for a model with a ``Repository``: living rows, soft deletes, versions."""


class RepositoryStackedInline(RepositoryInline, admin.StackedInline):  # type: ignore[type-arg]  # generic in its stubs only
    """A ``StackedInline`` for a model with a ``Repository``: living rows, soft deletes, versions."""


def _refuse_protected(form: Any) -> None:
    row = form.instance
    if row._state.adding or not form.cleaned_data.get(DELETION_FIELD_NAME):
        return
    protecting = protectors(type(row)._base_manager.filter(pk=row.pk))
    if protecting:
        referring = {str(child._meta.verbose_name_plural) for child in protecting}
        raise ValidationError(
            _("This %(name)s cannot be deleted: %(referring)s refer to it."),
            code="deleting_protected",
            params={"name": row._meta.verbose_name, "referring": get_text_list(sorted(referring), str(_("and")))},
        )
