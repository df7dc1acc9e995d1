"""Which kind of values a field's column holds, for Django's fields and for those that a project declares.

A field is known by the nearest class it derives from that is known, as long as it reads its column in the same way:
one with a ``from_db_value`` or ``get_db_converters`` of its own may answer with anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import models

from . import kinds
from .kinds import Kind

_Find = Callable[[Any], Kind | None]


def unsupported_fields(model: type[models.Model]) -> list[models.Field[Any, Any]]:
    """The concrete fields of ``model`` whose values the cache cannot hold; a model that has any is not cached."""
    return [field for field in model._meta.concrete_fields if kind_of(field) is None]


def kind_of(field: Any) -> Kind | None:
    """The kind of values that ``field`` reads from its column, ``None`` when nobody says."""
    for cls in type(field).__mro__:
        find = _known.get(cls) or _POSTGRES.get(f"{cls.__module__}.{cls.__qualname__}")
        if find is not None:
            return find(field) if _reads_as(field, cls) else None
    return None


def _reads_as(field: Any, cls: type) -> bool:
    return all(
        getattr(type(field), name, None) is getattr(cls, name, None) for name in ("from_db_value", "get_db_converters")
    )


def declare(
    field_class: type[models.Field[Any, Any]],
    type_: Any,
    to_cached: Callable[[Any], Any] | None,
    from_cached: Callable[[Any], Any] | None,
) -> None:
    name = f"{_name(field_class)} as {type_!r} by {_name(to_cached)} and {_name(from_cached)}"
    kind = kinds.declared(name, type_, to_cached, from_cached)
    _known[field_class] = lambda field: kind


def _name(thing: Any) -> str:
    """The same in every process, which a representation with an address in it is not."""
    named = thing if hasattr(thing, "__qualname__") else type(thing)
    return f"{getattr(named, '__module__', '')}.{named.__qualname__}"


def _always(kind: Kind) -> _Find:
    return lambda field: kind


def _json(field: Any) -> Kind | None:
    return kinds.JSON if field.decoder is None else None


def _array(field: Any) -> Kind | None:
    kind = kind_of(field.base_field)
    return None if kind is None else kinds.list_of(kind)


def _range(field: Any) -> Kind | None:
    from django.db.backends.postgresql.psycopg_any import Range

    kind = kind_of(field.base_field)
    return None if kind is None else kinds.range_of(kind, Range)


_known: dict[type, _Find] = {
    models.BinaryField: _always(kinds.BINARY),
    models.BooleanField: _always(kinds.BOOLEAN),
    models.CharField: _always(kinds.STRING),
    models.DateField: _always(kinds.DATE),
    models.DateTimeField: _always(kinds.DATETIME),
    models.DecimalField: _always(kinds.DECIMAL),
    models.DurationField: _always(kinds.DURATION),
    models.FileField: _always(kinds.STRING),
    models.FilePathField: _always(kinds.STRING),
    models.FloatField: _always(kinds.FLOAT),
    models.ForeignKey: lambda field: kind_of(field.target_field),  # a key reads its column as its target does
    models.GeneratedField: lambda field: kind_of(field.output_field),
    models.GenericIPAddressField: _always(kinds.STRING),
    models.IntegerField: _always(kinds.INTEGER),
    models.JSONField: _json,
    models.TextField: _always(kinds.STRING),
    models.TimeField: _always(kinds.TIME),
    models.UUIDField: _always(kinds.IDENTIFIER),
}

#: By name, since importing them needs psycopg.
_POSTGRES: dict[str, _Find] = {
    "django.contrib.postgres.fields.array.ArrayField": _array,
    "django.contrib.postgres.fields.hstore.HStoreField": _always(kinds.DICTIONARY),
    "django.contrib.postgres.fields.ranges.RangeField": _range,
    "django.contrib.postgres.search.SearchVectorField": _always(kinds.STRING),
}
