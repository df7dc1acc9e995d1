"""Model forms that notice when somebody else saved in the meantime."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from . import writing


class VersionedModelForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form on a ``VersionedModel``: the version travels with it, and a stale edit is a form error.

    The error is not tied to a field (``form.non_field_errors()``) and has the code ``"stale"``.
    """

    #: Not the column's name: Django refuses form fields that are named like a column nobody may edit.
    held_version = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        column = writing.versions.version_field(type(self.instance))
        if column is None:
            raise TypeError(f"{self.instance._meta.label} is not a VersionedModel.")
        self._column = column
        self.fields["held_version"].required = not self.instance._state.adding
        self.initial["held_version"] = getattr(self.instance, column.attname)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        held = cleaned.pop("held_version", None)
        if self.instance._state.adding or held is None:
            return cleaned  # new, or the missing version is already an error
        if held != getattr(self.instance, self._column.attname):
            self.add_error(None, forms.ValidationError(self.stale_message(), code="stale"))
        return cleaned

    def stale_message(self) -> str:
        """What the person reads who came second."""
        return str(
            _(
                "Somebody else saved this %(name)s while you were editing it. Load it again to see the changes; "
                "what you entered is still in this form."
            )
            % {"name": self.instance._meta.verbose_name}
        )
