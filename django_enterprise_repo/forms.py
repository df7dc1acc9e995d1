"""Model forms that know of the rows Django's don't see: deleted ones, and what somebody else saved meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import router
from django.db.models import Exists, Model, OuterRef, QuerySet, UniqueConstraint
from django.forms.formsets import DELETION_FIELD_NAME
from django.utils.text import get_text_list
from django.utils.translation import gettext_lazy as _

from . import writing
from .querysets import RepositoryQuerySetMixin
from .soft_delete.markers import model_marker


class RepositoryModelForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in its stubs only
    """A form that reckons with the rows its model's default manager hides.

    A unique value that a deleted row holds is a form error with the code ``"deleted"``, where Django's form would
    let the database refuse it. A deleted parent stays a valid choice for the child that has it, and for no other.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            self._keep_parents()

    def validate_unique(self) -> None:
        super().validate_unique()
        # Asked again, since the fields that Django has just found taken are none of ours.
        exclude = self._get_validation_exclusions()  # type: ignore[attr-defined]  # unknown to the stubs
        for names, error in _violations(self.instance, exclude):
            self.add_error(names[0] if len(names) == 1 else None, error)

    def _keep_parents(self) -> None:
        for column in self.instance._meta.concrete_fields:
            field = self.fields.get(column.name)
            if not column.is_relation or not isinstance(field, forms.ModelChoiceField):
                continue
            value = column.value_from_object(self.instance)
            offered: Any = field.queryset
            if value is not None and isinstance(offered, RepositoryQuerySetMixin):
                current: Any = offered.with_deleted().filter((field.to_field_name or "pk", value))
                field.queryset = current | offered


class HeldVersionField(forms.IntegerField):
    """The version that a form was opened with. It tells of changes and is none."""

    widget = forms.HiddenInput

    def has_changed(self, initial: Any, data: Any) -> bool:
        return False


class VersionedModelForm(RepositoryModelForm):
    """A form on a ``VersionedModel``: the version travels with it, and a stale edit is a form error.

    The error is not tied to a field (``form.non_field_errors()``) and has the code ``"stale"``.
    """

    #: Not the column's name: Django refuses form fields that are named like a column nobody may edit.
    held_version = HeldVersionField(required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        column = writing.versions.version_field(type(self.instance))
        if column is None:
            raise TypeError(f"{self.instance._meta.label} is not a VersionedModel.")
        self._column = column
        self.initial["held_version"] = getattr(self.instance, column.attname)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        held = cleaned.pop("held_version", None)
        # A version that is missing cannot be told from a stale one.
        if self.overwrites() and held != getattr(self.instance, self._column.attname):
            self.add_error(None, ValidationError(self.stale_message(), code="stale"))
        return cleaned

    def overwrites(self) -> bool:
        """Whether saving this form would write to a row that others may have changed."""
        return not self.instance._state.adding

    def stale_message(self) -> str:
        """What the person reads who came second."""
        return str(
            _(
                "Somebody else saved this %(name)s while you were editing it. Load it again to see the changes; "
                "what you entered is still in this form."
            )
            % {"name": self.instance._meta.verbose_name}
        )


class VersionedRowForm(VersionedModelForm):
    """A ``VersionedModelForm`` for formsets, which write the rows that were edited and leave the others alone.

    A row that somebody else saved is an error only when this submission would write or delete it, and is neither
    written nor deleted then.
    """

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if self.has_error(NON_FIELD_ERRORS, "stale"):
            cleaned.pop(DELETION_FIELD_NAME, None)  # formsets don't let an error keep them from deleting
        return cleaned

    def overwrites(self) -> bool:
        return super().overwrites() and (self.has_changed() or bool(self.cleaned_data.get(DELETION_FIELD_NAME)))


# Unique values that Django's checks pass over and the database would refuse: those of rows that the default manager
# hides, and those that a constraint keeps apart among living rows only, as no form has the column that tells them.

UniqueCheck = Callable[[Any], None]


def _violations(instance: Model, exclude: set[str]) -> Iterator[tuple[tuple[str, ...], ValidationError]]:
    """What makes ``instance`` collide with a row that was passed over, and the fields that do."""
    for model, names, check, rows in _passed_over(instance, exclude):
        error = _violation(check, model, rows)
        if error is None:
            continue
        marker = model_marker(model)
        if marker is not None and _violation(check, model, rows.filter(marker.dead())) is not None:
            yield names, ValidationError(_held_by_deleted(model, names), code="deleted")
        else:
            yield names, ValidationError(error.messages[0], code=error.error_list[0].code)


def _passed_over(
    instance: Any, exclude: set[str]
) -> Iterator[tuple[type[Model], tuple[str, ...], UniqueCheck, QuerySet[Any]]]:
    """Django's checks of unique columns, ``unique_together`` and constraints, with the rows that each has not seen."""
    using = router.db_for_write(type(instance), instance=instance)

    def check_together(names: tuple[str, ...], model: Any) -> None:
        errors = instance._perform_unique_checks([(model, names)])
        if errors:
            raise ValidationError([error for listed in errors.values() for error in listed])

    for model, names in instance._get_unique_checks(exclude=exclude)[0]:
        hidden = _hidden_rows(model, using)
        if hidden is not None:
            yield model, names, partial(check_together, names), hidden
    for model, constraints in instance.get_constraints():
        marker, hidden = model_marker(model), _hidden_rows(model, using)
        unsaid = set() if marker is None else exclude & {marker.field.name}
        for constraint in constraints:
            if not isinstance(constraint, UniqueConstraint):
                continue
            condition = constraint.condition
            was_skipped = condition is not None and condition.referenced_base_fields & unsaid
            rows = model._base_manager.using(using).all() if was_skipped else hidden
            if rows is not None:
                check = partial(constraint.validate, instance=instance, exclude=exclude - unsaid, using=using)
                yield model, tuple(constraint.fields), check, rows


def _hidden_rows(model: type[Model], using: str) -> QuerySet[Any] | None:
    """The rows that the default manager leaves out, ``None`` where it leaves out none."""
    seen = model._default_manager.using(using)
    if not seen.query.where:
        return None
    return model._base_manager.using(using).filter(~Exists(seen.filter(pk=OuterRef("pk"))))


class _ModelOf:
    """A model that takes ``rows`` for the rows of its default manager, which is where Django's checks look."""

    def __init__(self, model: type[Model], rows: QuerySet[Any]) -> None:
        self._model = model
        self._default_manager = rows

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def _violation(check: UniqueCheck, model: type[Model], rows: QuerySet[Any]) -> ValidationError | None:
    try:
        check(_ModelOf(model, rows))
    except ValidationError as error:
        return error
    return None


def _held_by_deleted(model: type[Model], names: tuple[str, ...]) -> str:
    labels = [str(model._meta.get_field(name).verbose_name) for name in names]  # type: ignore[union-attr]
    values = get_text_list(labels, str(_("and"))) or _("unique value")  # a constraint of expressions names no columns
    return str(_("A deleted %(name)s has the same %(values)s.") % {"name": model._meta.verbose_name, "values": values})
