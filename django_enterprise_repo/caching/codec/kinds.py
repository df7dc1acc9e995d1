"""What columns hold, as Python sees it, and the form in which msgspec writes and reads it.

Left alone, msgspec writes a subclass as its base, an enumeration as its value and a ``fold`` not at all. Every value
is therefore looked at before it is written: what would not come back as the same type with the same value is
:class:`~.errors.Inexact`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from .errors import Inexact

#: MessagePack has no integers beyond 64 bits, JSON has; the code is one of those left to applications.
_BIG_INTEGER = 1
_INTEGERS = range(-(2**63), 2**64)
ENCODER = msgspec.msgpack.Encoder(uuid_format="bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of values. ``None`` belongs to every kind and is given to neither function.

    Attributes:
        name: what the schema hash knows it by.
        type: as what msgspec reads it.
        pack: a value to what msgspec writes, ``Inexact`` when it would come back different.
        unpack: what msgspec has read, and the time zone of the connection, to the value; ``None`` when it is the value.
        zoned: whether ``unpack`` has work to do only for another time zone than UTC.
    """

    name: str
    type: Any
    pack: Callable[[Any], Any]
    unpack: Callable[[Any, tzinfo | None], Any] | None = None
    zoned: bool = False


def _plain(type_: type) -> Kind:
    def pack(value: Any) -> Any:
        if type(value) is not type_:
            raise Inexact
        return value

    return Kind(name=type_.__name__, type=type_, pack=pack)


def _pack_integer(value: Any) -> int:
    if type(value) is not int or value not in _INTEGERS:
        raise Inexact
    return value


def _pack_time(value: Any) -> time:
    if type(value) is not time or value.tzinfo is not None or value.fold:
        raise Inexact
    return value


def _pack_datetime(value: Any) -> datetime:
    """A moment is written in UTC, so its zone must give the same reading when it is shown there again."""
    if type(value) is not datetime:
        raise Inexact
    zone = value.tzinfo
    if zone is None or zone is UTC:
        if value.fold:
            raise Inexact
        return value
    try:
        again = value.astimezone(UTC).astimezone(zone)
    except OverflowError:
        raise Inexact from None
    if again.fold != value.fold or again.replace(tzinfo=None) != value.replace(tzinfo=None):
        raise Inexact
    return value


def _unpack_datetime(value: datetime, zone: tzinfo | None) -> datetime:
    return value if zone is None or value.tzinfo is None else value.astimezone(zone)


def _pack_binary(value: Any) -> bytes | tuple[bytes]:
    """Drivers answer with bytes or with a view of them; a tuple of one tells that it was a view."""
    if type(value) is memoryview and value.format == "B" and value.ndim == 1:
        return (bytes(value),)
    if type(value) is not bytes:
        raise Inexact
    return value


def _unpack_binary(value: bytes | tuple[bytes], zone: tzinfo | None) -> bytes | memoryview:
    return memoryview(value[0]) if isinstance(value, tuple) else value


def _pack_json(value: Any) -> Any:
    """Exactly what ``json.loads`` can answer."""
    kind = type(value)
    if value is None or kind is str or kind is bool or kind is float:
        return value
    if kind is int:
        if value in _INTEGERS:
            return value
        return msgspec.msgpack.Ext(_BIG_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, signed=True))
    if kind is list:
        return [_pack_json(item) for item in value]
    if kind is dict and all(type(key) is str for key in value):
        return {key: _pack_json(item) for key, item in value.items()}
    raise Inexact


def read_extension(code: int, data: memoryview) -> int:
    """The ``ext_hook`` of decoders."""
    if code != _BIG_INTEGER:
        raise ValueError("no such extension")
    return int.from_bytes(data, signed=True)


def _pack_dictionary(value: Any) -> dict[str, str | None]:
    if type(value) is not dict:
        raise Inexact
    if not all(type(key) is str and (item is None or type(item) is str) for key, item in value.items()):
        raise Inexact
    return value


BINARY = Kind(name="binary", type=bytes | tuple[bytes], pack=_pack_binary, unpack=_unpack_binary)
BOOLEAN = _plain(bool)
DATE = _plain(date)
DATETIME = Kind(name="datetime", type=datetime, pack=_pack_datetime, unpack=_unpack_datetime, zoned=True)
DECIMAL = _plain(Decimal)
DICTIONARY = Kind(name="dictionary", type=dict[str, str | None], pack=_pack_dictionary)
DURATION = _plain(timedelta)
FLOAT = _plain(float)
INTEGER = Kind(name="int", type=int, pack=_pack_integer)
JSON = Kind(name="json", type=Any, pack=_pack_json)
STRING = _plain(str)
TIME = Kind(name="time", type=time, pack=_pack_time)
IDENTIFIER = _plain(UUID)


def optional(type_: Any) -> Any:
    """The type or ``None``, as an object and not as an annotation."""
    return type_ | None


def list_of(kind: Kind) -> Kind:
    """Lists whose items, also ``None``, are of ``kind``."""
    pack_item, unpack_item = kind.pack, kind.unpack

    def pack(value: Any) -> list[Any]:
        if type(value) is not list:
            raise Inexact
        return [None if item is None else pack_item(item) for item in value]

    unpack = None
    if unpack_item is not None:

        def unpack(value: list[Any], zone: tzinfo | None) -> list[Any]:
            return [None if item is None else unpack_item(item, zone) for item in value]

    return Kind(
        name=f"list of {kind.name}",
        type=list[optional(kind.type)],  # type: ignore[misc]
        pack=pack,
        unpack=unpack,
        zoned=kind.zoned,
    )


def range_of(kind: Kind, range_type: Any) -> Kind:
    """Ranges of psycopg 3, whose ends are of ``kind`` or missing: the two ends and the brackets, none when empty."""
    end: Any = optional(kind.type)

    def pack(value: Any) -> tuple[Any, Any, str | None]:
        if type(value) is not range_type:
            raise Inexact
        lower, upper = (None if limit is None else kind.pack(limit) for limit in (value.lower, value.upper))
        return lower, upper, value.bounds or None

    def unpack(value: tuple[Any, Any, str | None], zone: tzinfo | None) -> Any:
        lower, upper, bounds = value
        if bounds is None:
            return range_type(empty=True)
        if kind.unpack is not None:
            lower, upper = (None if limit is None else kind.unpack(limit, zone) for limit in (lower, upper))
        return range_type(lower, upper, bounds)

    return Kind(name=f"range of {kind.name}", type=tuple[end, end, str | None], pack=pack, unpack=unpack)


_PLAIN = {
    kind.type: kind for kind in (BOOLEAN, DATE, DATETIME, DECIMAL, DURATION, FLOAT, INTEGER, STRING, TIME, IDENTIFIER)
}


def declared(
    name: str, type_: Any, to_cached: Callable[[Any], Any] | None, from_cached: Callable[[Any], Any] | None
) -> Kind:
    """Values of which a project says how they are held. Each is read back before it counts, and has to be equal."""
    if to_cached is None and from_cached is None and type_ in _PLAIN:
        return _PLAIN[type_]
    decoder = msgspec.msgpack.Decoder(type_, ext_hook=read_extension)

    def unpack(value: Any, zone: tzinfo | None) -> Any:
        return value if from_cached is None else from_cached(value)

    def pack(value: Any) -> Any:
        try:
            packed = value if to_cached is None else to_cached(value)
            again = unpack(decoder.decode(ENCODER.encode(packed)), None)
            same = packed is not None and type(again) is type(value) and bool(again == value)
        except Exception as error:
            raise Inexact from error
        if not same:
            raise Inexact
        return packed

    return Kind(name=name, type=type_, pack=pack, unpack=None if from_cached is None else unpack)
