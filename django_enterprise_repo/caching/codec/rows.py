"""The rows of one model, each as a header and a MessagePack array."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, tzinfo
from hashlib import blake2b
from typing import Any
from weakref import WeakKeyDictionary

import msgspec
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Field, Model

from . import fields
from .errors import Inexact, Undecodable, Unencodable
from .kinds import ENCODER, optional, read_extension

#: What this module makes of a row; a change of it makes every payload unreadable.
_FORMAT = 1
_HEADER = 8
_Unpacking = tuple[tuple[int, Callable[[Any, tzinfo | None], Any]], ...]

_codecs: WeakKeyDictionary[type[Model], RowCodec] = WeakKeyDictionary()


def row_codec(model: type[Model]) -> RowCodec:
    """The codec of a model, made at the first call.

    Raises:
        ImproperlyConfigured: the model has fields that :func:`~.fields.unsupported_fields` names.
    """
    codec = _codecs.get(model)
    if codec is None:
        codec = _codecs[model] = RowCodec(model)
    return codec


def register_field(
    field_class: type[Field[Any, Any]],
    type: Any,  # noqa: A002 - what it is
    to_cached: Callable[[Any], Any] | None = None,
    from_cached: Callable[[Any], Any] | None = None,
) -> None:
    """Let rows with fields of this class, and of classes that read their column as it does, be cached.

    Args:
        field_class: the class of the field.
        type: what msgspec writes and reads for a value: a type it knows, without ``None``, or ``typing.Any``. When what
            is inside such a type changes, clear the cache: its name is all that a payload knows of it.
        to_cached: a value as read from the database to that type; left out when it is that already.
        from_cached: the way back. A value that does not come back equal and of its own type is not cached.
    """
    fields.declare(field_class, type, to_cached, from_cached)
    _codecs.clear()


class RowCodec:
    """Rows of one model as bytes.

    A row is the tuple of values that ``Model.from_db`` is given, in the order of ``_meta.concrete_fields``: the columns
    of parents and generated ones are among them, and those of a composite key, not the key itself.
    A payload starts with a hash of table, columns and kinds of values, so that a row of another schema is no row.
    """

    __slots__ = ("_columns", "_decode", "_label", "_schema", "_unpacking", "_zoned_unpacking")

    def __init__(self, model: type[Model]) -> None:
        options = model._meta
        columns = []
        for field in options.concrete_fields:
            kind = fields.kind_of(field)
            if kind is None:
                names = ", ".join(field.name for field in fields.unsupported_fields(model))
                raise ImproperlyConfigured(f"{options.label}: a cache cannot hold the values of {names}.")
            columns.append((field, kind))
        # No field is kept: it would hold on to its model, whose codec is to go when it goes.
        self._label = options.label
        self._columns = tuple((field.attname, kind.pack) for field, kind in columns)
        self._schema = _hash(
            _FORMAT,
            options.db_table,
            [(field.model._meta.db_table, field.attname, field.column, kind.name) for field, kind in columns],
        )
        types = tuple(optional(kind.type) for _, kind in columns)
        self._decode = msgspec.msgpack.Decoder(tuple[types], ext_hook=read_extension).decode  # type: ignore[valid-type]
        self._zoned_unpacking = tuple(
            (position, kind.unpack) for position, (_, kind) in enumerate(columns) if kind.unpack is not None
        )
        self._unpacking = tuple(
            (position, kind.unpack)
            for position, (_, kind) in enumerate(columns)
            if kind.unpack is not None and not kind.zoned
        )

    def encode(self, values: Sequence[object]) -> bytes:
        """A row as bytes.

        Raises:
            Unencodable: a value would not come back as the same type with the same value.
            ValueError: there are more or fewer values than columns.
        """
        packed = []
        for (name, pack), value in zip(self._columns, values, strict=True):
            try:
                packed.append(None if value is None else pack(value))
            except (Inexact, RecursionError) as error:
                raise Unencodable(f"{self._label}.{name}", type(value).__qualname__) from error.__cause__
        try:
            return self._schema + ENCODER.encode(packed)
        except Exception:  # noqa: BLE001 - lone surrogates, nesting without end, and what declared types may hold
            raise self._culprit(values, packed) from None

    def _culprit(self, values: Sequence[object], packed: Sequence[object]) -> Unencodable:
        """Which value the encoder refused; it says so itself of none."""
        for (name, _), value, item in zip(self._columns, values, packed, strict=True):
            try:
                ENCODER.encode(item)
            except Exception:  # noqa: BLE001 - found
                return Unencodable(f"{self._label}.{name}", type(value).__qualname__)
        return Unencodable(self._label, "tuple")

    def decode(self, payload: bytes, timezone: tzinfo | None = None) -> tuple[Any, ...]:
        """The values of a row.

        Args:
            payload: what :meth:`encode` made.
            timezone: that of the connection the row was read through, where it is not ``datetime.UTC``.

        Raises:
            Undecodable: the payload is of another schema, or damaged.
        """
        if payload[:_HEADER] != self._schema:
            raise Undecodable(f"No row of {self._label} in its present form.")
        try:
            values: tuple[Any, ...] = self._decode(payload[_HEADER:])
        except Exception:  # noqa: BLE001 - whatever msgspec or a constructor calls damaged bytes; its words may quote them
            raise Undecodable(f"A damaged row of {self._label}.") from None
        unpacking = self._unpacking if timezone is None or timezone is UTC else self._zoned_unpacking
        if not unpacking:
            return values
        try:
            return _unpacked(values, unpacking, timezone)
        except Exception as error:  # of a project's function, or of a time that the zone does not reach
            raise Undecodable(f"A row of {self._label} that cannot be brought back.") from error


def _unpacked(values: Sequence[Any], unpacking: _Unpacking, timezone: tzinfo | None) -> tuple[Any, ...]:
    row = list(values)
    for position, unpack in unpacking:
        if row[position] is not None:
            row[position] = unpack(row[position], timezone)
    return tuple(row)


def _hash(*schema: Any) -> bytes:
    return blake2b(repr(schema).encode(), digest_size=_HEADER).digest()
