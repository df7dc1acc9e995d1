"""Values of a filter, made into what a column holds, strictly: nothing is trimmed, rounded or guessed.

Each coercer takes a value and answers the one to compare with, or raises :class:`Refused` with a stable code and a
message that says what was expected. Messages never repeat the value.
"""

from __future__ import annotations

import datetime
import ipaddress
import math
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db.backends.base.operations import BaseDatabaseOperations
from django.db.models import (
    BooleanField,
    CharField,
    DateField,
    DateTimeField,
    DecimalField,
    DurationField,
    Field,
    FloatField,
    GenericIPAddressField,
    IntegerField,
    TextField,
    TimeField,
    UUIDField,
)
from django.utils import timezone
from django.utils.dateparse import parse_duration

Coercer = Callable[[Any], Any]

_INTEGER = re.compile(r"-?[0-9]{1,20}", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_TIME = re.compile(r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?", re.ASCII)
_MOMENT = re.compile(_DATE.pattern + "[T ]" + _TIME.pattern + r"(Z|[+-][0-9]{2}:[0-9]{2})", re.ASCII)
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_SURROGATE = re.compile("[\ud800-\udfff]")


class Refused(ValueError):
    """A value that cannot be compared with the column."""

    def __init__(self, code: str, message: str) -> None:
        self.code, self.message = code, message
        super().__init__(message)


class Kind(NamedTuple):
    """A family of columns that compare alike.

    Attributes:
        name: for people and for the table of operators.
        coerce: makes a value comparable with the column.
    """

    name: str
    coerce: Coercer


def kind_of(field: Field[Any, Any]) -> Kind | None:
    """The kind of a column, ``None`` for columns that can only be asked for null."""
    if field.remote_field is not None:
        return kind_of(field.target_field)  # type: ignore[attr-defined]  # every key has one
    for types, name, make in _COLUMNS:
        if isinstance(field, types):
            return Kind(name, make(field))
    return None


def json_kind(declared: type) -> Kind:
    """The kind of a JSON path with a declared type. Numbers in text are not numbers there."""
    coercers: dict[type, tuple[str, Coercer]] = {
        str: ("text", text),
        int: ("number", partial(integer, low=-(2**63), high=2**63 - 1, as_text=False, from_float=True)),
        float: ("number", partial(_json_number, coerce=partial(floating, as_text=False))),
        Decimal: ("number", partial(_json_number, coerce=_json_decimal)),
        bool: ("boolean", boolean),
    }
    return Kind(*coercers[declared])


def text(value: Any) -> str:
    """Text without NUL and without halves of surrogate pairs, which no engine stores."""
    if not isinstance(value, str):
        raise Refused("invalid_text", "expected text")
    if "\x00" in value:
        raise Refused("invalid_text", "text cannot contain NUL")
    if _SURROGATE.search(value):
        raise Refused("invalid_text", "text cannot contain lone surrogates")
    return str(value)


def integer(value: Any, *, low: int, high: int, as_text: bool = True, from_float: bool = False) -> int:
    """A whole number within the column's range."""
    if from_float and type(value) is float and value.is_integer():
        value = int(value)
    if as_text and isinstance(value, str) and _INTEGER.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refused("invalid_integer", "expected an integer")
    if not low <= value <= high:
        raise Refused("out_of_range", f"expected an integer from {low} to {high}")
    return int(value)


def decimal(value: Any, *, max_digits: int | None, decimal_places: int | None) -> Decimal:
    """A finite decimal number whose whole part fits the column. Surplus decimals are kept, not rounded."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = _parsed_decimal(value)
    elif type(value) is float:
        value = _parsed_decimal(repr(value)) if math.isfinite(value) else None
    elif isinstance(value, int) and not isinstance(value, bool):
        # Python refuses to print integers of thousands of digits, so their size is looked at first.
        value = Decimal(value) if value.bit_length() < 1024 else None
    if not isinstance(value, Decimal) or not value.is_finite():
        raise Refused("invalid_decimal", "expected a decimal number")
    if value.adjusted() > 400 or value.adjusted() < -400:
        raise Refused("out_of_range", "expected a decimal number of ordinary size")
    if max_digits is not None and decimal_places is not None and value.adjusted() >= max_digits - decimal_places:
        raise Refused("out_of_range", f"expected at most {max_digits - decimal_places} digits before the point")
    return value


def floating(value: Any, *, as_text: bool = True) -> float:
    """A finite number."""
    if as_text and isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused("invalid_number", "expected a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise Refused("invalid_number", "expected a finite number")
    return number


def boolean(value: Any) -> bool:
    """``True`` or ``False`` and nothing that resembles them."""
    if not isinstance(value, bool):
        raise Refused("invalid_boolean", "expected true or false")
    return value


def date(value: Any) -> datetime.date:
    """A calendar day, ``2024-01-31``."""
    if isinstance(value, str) and _DATE.fullmatch(value):
        value = _attempt(datetime.date.fromisoformat, value)
    if isinstance(value, datetime.datetime) or not isinstance(value, datetime.date):
        raise Refused("invalid_date", "expected a date such as 2024-01-31")
    return value


def moment(value: Any) -> datetime.datetime:
    """A moment with its offset from UTC, ``2024-01-31T12:00:00Z``."""
    if isinstance(value, str) and _MOMENT.fullmatch(value):
        value = _attempt(datetime.datetime.fromisoformat, value.replace("Z", "+00:00"))
    if not isinstance(value, datetime.datetime) or value.tzinfo is None or value.utcoffset() is None:
        raise Refused("invalid_datetime", "expected a date and time with offset such as 2024-01-31T12:00:00Z")
    try:
        value = value.astimezone(datetime.UTC)
        return value if settings.USE_TZ else timezone.make_naive(value, timezone.get_default_timezone())
    except OverflowError:
        raise Refused("out_of_range", "expected a date and time between the years 1 and 9999 in UTC") from None


def clock(value: Any) -> datetime.time:
    """A time of day without offset, ``12:30:00``."""
    if isinstance(value, str) and _TIME.fullmatch(value):
        value = _attempt(datetime.time.fromisoformat, value)
    if not isinstance(value, datetime.time) or value.tzinfo is not None:
        raise Refused("invalid_time", "expected a time such as 12:30:00")
    return value


def duration(value: Any) -> datetime.timedelta:
    """A duration, as text in ISO 8601 (``P3DT4H``) or Django's form (``3 04:00:00``)."""
    if isinstance(value, str) and len(value) <= 40 and value.isascii():
        try:
            value = parse_duration(value)
        except (OverflowError, ValueError):
            value = None
    if not isinstance(value, datetime.timedelta):
        raise Refused("invalid_duration", "expected a duration such as 3 04:00:00")
    if abs(value) // datetime.timedelta(microseconds=1) >= 2**63:
        raise Refused("out_of_range", "expected a duration of less than 292,000 years")
    return value


def uuid(value: Any) -> UUID:
    """A UUID, in text only in its canonical form with hyphens."""
    if isinstance(value, str) and _UUID.fullmatch(value):
        return UUID(value)
    if not isinstance(value, UUID):
        raise Refused("invalid_uuid", "expected a UUID such as 01234567-89ab-cdef-0123-456789abcdef")
    return value


def address(value: Any) -> str:
    """An IPv4 or IPv6 address."""
    if isinstance(value, ipaddress.IPv4Address | ipaddress.IPv6Address):
        return str(value)
    if isinstance(value, str) and len(value) <= 45:
        try:
            return str(ipaddress.ip_address(value))
        except ValueError:
            pass  # answered below, in our words
    raise Refused("invalid_address", "expected an IP address")


def _json_number(value: Any, *, coerce: Coercer) -> int | float:
    """As JSON is read: what is whole stays exact as far as the engines' integers go, all else is a double."""
    number = coerce(value)
    whole = value if isinstance(value, int) else number
    if -(2**63) <= whole < 2**63 and whole == int(whole):
        return int(whole)
    if not math.isfinite(double := float(number)) or (number and not double):
        raise Refused("out_of_range", "expected a number that fits a double")
    return double


def _json_decimal(value: Any) -> Decimal:
    if isinstance(value, str):
        raise Refused("invalid_decimal", "expected a number")
    return decimal(value, max_digits=None, decimal_places=None)


def _parsed_decimal(value: str) -> Decimal | None:
    try:
        return Decimal(value)
    except InvalidOperation:
        return None


def _attempt(parse: Callable[[str], Any], value: str) -> Any:
    try:
        return parse(value)
    except ValueError:
        return None  # no such day or hour; the caller refuses what is of the wrong type


def _integer_of(field: Field[Any, Any]) -> Coercer:
    # The ranges of the standard, whatever a laxer engine would take.
    low, high = BaseDatabaseOperations.integer_field_ranges.get(field.get_internal_type(), (-(2**31), 2**31 - 1))
    return partial(integer, low=low, high=high)


def _decimal_of(field: Any) -> Coercer:
    return partial(decimal, max_digits=field.max_digits, decimal_places=field.decimal_places)


def _always(coerce: Coercer) -> Callable[[Any], Coercer]:
    return lambda field: coerce


# In this order: a DateTimeField is a DateField too. A FileField is a path of the storage and no text.
_COLUMNS: tuple[tuple[Any, str, Callable[[Any], Coercer] | Any], ...] = (
    (BooleanField, "boolean", _always(boolean)),
    (IntegerField, "number", _integer_of),
    (DecimalField, "decimal", _decimal_of),
    (FloatField, "number", _always(floating)),
    (DateTimeField, "moment", _always(moment)),
    (DateField, "moment", _always(date)),
    (TimeField, "moment", _always(clock)),
    (DurationField, "moment", _always(duration)),
    (UUIDField, "identifier", _always(uuid)),
    (GenericIPAddressField, "identifier", _always(address)),
    ((CharField, TextField), "text", _always(text)),
)

__all__ = ["Coercer", "Kind", "Refused", "json_kind", "kind_of", "text"]
