"""Which column says that a row is deleted, and what it is set to."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple
from weakref import WeakKeyDictionary

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.db.models import BooleanField, DateTimeField, Field, Model, Q

from ..operations import Operation
from ..policies import SoftDeletePolicy

#: What a repository's ``soft_delete`` may be: find ``deleted_at``; find ``is_active`` too; a policy; switched off.
SoftDeleteSetting = SoftDeletePolicy | Literal["deleted_at", "auto"] | None


class Marker(NamedTuple):
    """The columns of a soft delete on one model.

    ``deleted_by`` and ``deletion_id`` are ``None`` where the model has no such column.
    """

    field: Field[Any, Any]
    is_timestamp: bool
    deleted_by: Field[Any, Any] | None
    deletion_id: Field[Any, Any] | None

    def alive(self) -> Q:
        """Condition of the rows that are not deleted."""
        return Q((f"{self.field.name}__isnull", True)) if self.is_timestamp else Q((self.field.name, True))

    def dead(self) -> Q:
        """Condition of the deleted rows."""
        return Q((f"{self.field.name}__isnull", False)) if self.is_timestamp else Q((self.field.name, False))

    def is_deleted(self, entity: Model) -> bool:
        """What the entity in memory says of itself."""
        value = getattr(entity, self.field.attname)
        return value is not None if self.is_timestamp else not value

    def deletion(self, operation: Operation, user_id: Any) -> dict[Field[Any, Any], Any]:
        """Values that delete a row: by whom and in which deletion, where the model can tell."""
        values: dict[Field[Any, Any], Any] = {self.field: operation.moment if self.is_timestamp else False}
        if self.deleted_by is not None:
            values[self.deleted_by] = user_id
        if self.deletion_id is not None:
            values[self.deletion_id] = operation.id
        return values

    def restoration(self) -> dict[Field[Any, Any], Any]:
        """Values that bring a row back."""
        values: dict[Field[Any, Any], Any] = {self.field: None if self.is_timestamp else True}
        for field in (self.deleted_by, self.deletion_id):
            if field is not None:
                values[field] = None
        return values


_markers: WeakKeyDictionary[type[Model], dict[SoftDeleteSetting, Marker | None]] = WeakKeyDictionary()


def marker_of(model: type[Model], setting: SoftDeleteSetting) -> Marker | None:
    """The marker that ``setting`` finds on ``model``, ``None`` when its rows cannot be soft-deleted.

    Raises:
        ImproperlyConfigured: a policy names a column that is missing or of the wrong kind.
    """
    found = _markers.setdefault(model, {})
    if setting not in found:
        found[setting] = _find(model, setting)
    return found[setting]


def model_marker(model: type[Model]) -> Marker | None:
    """The marker of a model as its own repository sees it, where no queryset says which repository is meant."""
    for manager in (model._default_manager, *model._meta.managers):
        if hasattr(manager, "soft_delete"):
            return marker_of(model, manager.soft_delete)
    return marker_of(model, "deleted_at")


def can_be_soft_deleted(model: type[Model]) -> bool:
    """Whether any repository of ``model`` deletes its rows softly."""
    settings = [manager.soft_delete for manager in model._meta.managers if hasattr(manager, "soft_delete")]
    return any(marker_of(model, setting) is not None for setting in settings or ["deleted_at"])


def _find(model: type[Model], setting: SoftDeleteSetting) -> Marker | None:
    if setting is None:
        return None
    if isinstance(setting, SoftDeletePolicy):
        return _declared(model, setting)
    timestamp = _column(model, "deleted_at")
    if isinstance(timestamp, DateTimeField) and timestamp.null:
        return _marker(model, SoftDeletePolicy(field="deleted_at"), timestamp)
    if setting == "auto" and not hasattr(model, "USERNAME_FIELD"):
        # On a user model, and only there is such a name, the flag says who may log in and nothing of deletion.
        flag = _column(model, "is_active")
        if isinstance(flag, BooleanField) and not flag.null:
            return _marker(model, SoftDeletePolicy(field="is_active", marker="flag"), flag)
    return None


def _declared(model: type[Model], policy: SoftDeletePolicy) -> Marker:
    field = _column(model, policy.field)
    if field is None:
        raise ImproperlyConfigured(f"{model._meta.label}: the soft-delete column {policy.field!r} does not exist.")
    fits = (
        isinstance(field, DateTimeField) and field.null
        if policy.marker == "timestamp"
        else isinstance(field, BooleanField) and not field.null
    )
    if not fits:
        wanted = "nullable DateTimeField" if policy.marker == "timestamp" else "BooleanField that is never null"
        raise ImproperlyConfigured(f"{model._meta.label}.{policy.field}: a {policy.marker} marker is a {wanted}.")
    return _marker(model, policy, field)


def _marker(model: type[Model], policy: SoftDeletePolicy, field: Field[Any, Any]) -> Marker:
    return Marker(
        field=field,
        is_timestamp=policy.marker == "timestamp",
        deleted_by=_actor_column(model, policy.deleted_by),
        deletion_id=_column(model, policy.deletion_id),
    )


def _column(model: type[Model], name: str) -> Field[Any, Any] | None:
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        return None
    return field if isinstance(field, Field) and field.concrete else None


def _actor_column(model: type[Model], name: str) -> Field[Any, Any] | None:
    field = _column(model, name)
    if field is None or field.remote_field is None:
        return field
    # A key to anything but the user model cannot take a user.
    return field if field.related_model is get_user_model() else None
