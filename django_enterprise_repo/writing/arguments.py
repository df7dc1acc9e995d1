"""Arguments of the write verbs, refused before any SQL when they cannot mean anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from django.core.exceptions import FieldDoesNotExist
from django.db.models import Field, Model

from ..exceptions import InvalidArgument, InvalidArgumentType

M = TypeVar("M", bound=Model)

#: Keywords of the verbs. A column of the same name has to be changed through the mapping.
RESERVED = frozenset(
    {
        "user",
        "user_id",
        "reason",
        "using",
        "deadline",
        "validate",
        "expected_version",
        "savepoint",
        "hard",
        "everything",
        "filters",
        "include_deleted",
        "load",
    }
)


def concrete_model(model: type[Model]) -> type[Model]:
    """The model with the tables, where ``model`` may be a proxy of it."""
    return model._meta.concrete_model or model


def is_entity(model: type[Model], value: Any) -> bool:
    """Whether ``value`` is a model instance and not a key.

    Raises:
        InvalidArgumentType: an instance of some other model.
    """
    if not isinstance(value, Model):
        return False
    require_entity(model, value)
    return True


def require_entity(model: type[M], value: Any) -> M:
    """``value`` as an instance of ``model``, proxies and children included."""
    if not isinstance(value, concrete_model(model)):
        raise InvalidArgumentType(f"Expected a {model._meta.label}, not {type(value).__name__}.")
    return value  # type: ignore[return-value]  # an instance of the concrete model serves its proxies


def require_saved(model: type[M], value: Any) -> M:
    """``value`` as an instance of ``model`` that is in the database."""
    entity = require_entity(model, value)
    if entity.pk is None or entity._state.adding:
        raise InvalidArgument(f"This {model._meta.label} is not saved yet; add() it first.")
    return entity


def require_key(model: type[Model], value: Any) -> Any:
    """``value`` as a primary key: anything but nothing at all, and not an expression."""
    if value is None or hasattr(value, "resolve_expression"):
        kind = "None" if value is None else type(value).__name__
        raise InvalidArgumentType(f"Expected a {model._meta.label} or its primary key, not {kind}.")
    return value


def require_entities(model: type[M], values: Iterable[Any]) -> list[M]:
    """``values`` as a list of instances of ``model``, no instance twice."""
    if isinstance(values, Model | str | bytes | Mapping):
        raise InvalidArgumentType(f"Expected a sequence of {model._meta.label}, not {type(values).__name__}.")
    concrete = concrete_model(model)
    entities = list(values)
    for index, entity in enumerate(entities):
        if not isinstance(entity, concrete):
            raise InvalidArgumentType(f"Item {index}: expected a {model._meta.label}, not {type(entity).__name__}.")
    if len({id(entity) for entity in entities}) != len(entities):
        raise InvalidArgument(f"The same {model._meta.label} object is given twice.")
    return entities


def require_batch_size(value: Any) -> int | None:
    """A positive int or ``None``."""
    if value is None:
        return None
    if type(value) is not int:
        raise InvalidArgumentType(f"batch_size= takes a positive int, not {type(value).__name__}.")
    if value < 1:
        raise InvalidArgument("batch_size= takes a positive int.")
    return value


def changed_fields(
    model: type[Model], changes: Mapping[str, Any] | None, named: Mapping[str, Any]
) -> dict[Field[Any, Any], Any]:
    """The columns to change and their new values, from the mapping and the keywords of a verb.

    Raises:
        InvalidArgument: an unknown, primary-key or generated column, or one named twice.
        InvalidArgumentType: ``changes`` is not a mapping.
    """
    if changes is not None and not isinstance(changes, Mapping):
        raise InvalidArgumentType(f"Changes are a mapping of field names, not {type(changes).__name__}.")
    values: dict[Field[Any, Any], Any] = {}
    for name, value in (*(changes or {}).items(), *named.items()):
        field = _column(model, name)
        if field in values:
            raise InvalidArgument(f"{name!r} is given twice.")
        if isinstance(value, Model):
            _require_related(field, value)
        values[field] = value
    return values


def _require_related(field: Field[Any, Any], value: Model) -> None:
    related: Any = field.related_model
    if not isinstance(related, type) or not isinstance(value, concrete_model(related)):
        raise InvalidArgumentType(f"{field.name!r} does not take a {value._meta.label}.")
    if value.pk is None:
        raise InvalidArgument(f"{field.name!r} takes a saved {value._meta.label}; this one has no primary key.")


def refuse_ambiguous(model: type[Model], keywords: Iterable[str]) -> None:
    """Refuse keywords that are both a parameter of the verb and a column of ``model``.

    Only for calls without the mapping: with it, a keyword can only be the verb's own.
    """
    columns = _names(model)
    for name in keywords:
        if name in RESERVED and name in columns:
            raise InvalidArgument(
                f"{name!r} is a field of {model._meta.label} and a parameter of this verb; "
                f"pass the changes as a mapping: {{{name!r}: ...}}."
            )


def normalised(field: Field[Any, Any], value: Any) -> Any:
    """``value`` as the field holds it (``"9.99"`` is a Decimal), expressions and related objects as they are.

    Raises:
        ValidationError: the field cannot read the value.
    """
    if value is None or hasattr(value, "resolve_expression") or isinstance(value, Model):
        return value
    return field.to_python(value)


def _column(model: type[Model], name: Any) -> Field[Any, Any]:
    try:
        field = model._meta.get_field(name) if isinstance(name, str) else None
    except FieldDoesNotExist:
        field = None
    if not isinstance(field, Field) or not field.concrete or field.many_to_many:
        raise InvalidArgument(f"{model._meta.label} has no column {str(name)[:100]!r} to change.")
    if field.primary_key or field in getattr(model._meta, "pk_fields", ()):
        raise InvalidArgument(f"{name!r} is the primary key of {model._meta.label} and cannot be changed.")
    if field.generated:
        raise InvalidArgument(f"{name!r} is computed by the database and cannot be changed.")
    return field


def _names(model: type[Model]) -> frozenset[str]:
    return frozenset(name for field in model._meta.concrete_fields for name in (field.name, field.attname))
