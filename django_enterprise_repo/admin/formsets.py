"""Many rows in one form: the list of the admin, and the inlines."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.forms import BaseModelFormSet, BoundField, ModelChoiceField
from django.forms.formsets import DELETION_FIELD_NAME
from django.utils.translation import gettext_lazy as _

from .rows import repository_beside


class KeyWithVersion(BoundField):
    """The key of a row, rendered with the hidden version behind it.

    Django's templates, and those that projects put in their place, render the key of every row and no other hidden
    field. So the version takes its way.
    """

    def as_widget(self, *args: Any, **kwargs: Any) -> Any:
        return super().as_widget(*args, **kwargs) + self.form["held_version"].as_widget()


class RowFormSet(BaseModelFormSet):  # type: ignore[type-arg]  # generic in its stubs only
    """A formset that writes nothing when one of its rows is stale, and deletes as the repository does."""

    model: Any

    def add_fields(self, form: Any, index: int | None) -> None:
        super().add_fields(form, index)
        key = form.fields[self.model._meta.pk.name]
        if isinstance(key, ModelChoiceField) and self.is_bound:
            key.queryset = self.get_queryset()  # Django asks the default manager, which hides what a list may show
        if "held_version" in form.fields:
            key.bound_field_class = KeyWithVersion

    def clean(self) -> None:
        super().clean()
        if any(self._is_gone(form) for form in self.initial_forms):
            # No template shows the errors of a hidden key.
            raise ValidationError(
                _("Somebody else deleted one of these rows meanwhile. Load the page again."), code="gone"
            )

    def delete_existing(self, obj: Any, commit: bool = True) -> None:
        repository = repository_beside(type(obj))
        if commit and repository is not None:
            repository.delete(obj)
        else:
            super().delete_existing(obj, commit)

    def _is_gone(self, form: Any) -> bool:
        return form.has_error(self.model._meta.pk.name) and not form.cleaned_data.get(DELETION_FIELD_NAME)
