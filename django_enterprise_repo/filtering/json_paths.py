"""Conditions on a declared path into a JSON column, with one meaning on SQLite, PostgreSQL and MariaDB.

Each looks at the JSON type of the value before it compares: a missing key, a JSON null and a value of another type
than the declared one make it false. Never unknown: the negation would be unknown too, and lose these rows.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import NotSupportedError
from django.db.models import F, Lookup, Q
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.lookups import Exact, In, Regex

from .lookups import ILIKE, LIKE, ILike, Like

# What each engine calls the types of JSON.
_TYPES = {
    "text": {"sqlite": "'text'", "postgresql": "'string'", "mysql": "'STRING'"},
    "number": {"sqlite": "'integer', 'real'", "postgresql": "'number'", "mysql": "'INTEGER', 'DOUBLE'"},
    "boolean": {"sqlite": "'true', 'false'", "postgresql": "'boolean'", "mysql": "'BOOLEAN'"},
    "array": {"sqlite": "'array'", "postgresql": "'array'", "mysql": "'ARRAY'"},
    "null": {"sqlite": "'null'", "postgresql": "'null'", "mysql": "'NULL'"},
}

_TEXT: dict[str, Any] = {"exact": Exact, "in": In, "regex": Regex, LIKE: Like, ILIKE: ILike}
_NUMBER = {"exact": "=", "in": "IN", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}

# By its spelling: MariaDB calls 1e-07 an INTEGER.
_WHOLE = "^-?[0-9]{1,19}([.]0+)?$"


def json_condition(path: str, keys: Sequence[str], kind: str, lookup: str, value: Any) -> Q:
    """The condition on the value to which ``keys`` lead in the JSON column ``path``."""
    # Django takes digits for a position. PostgreSQL would find a key of this name as well, and for MariaDB whatever is
    # no array is the first item of itself.
    arrays = [_HasType(_value(path, keys[:at]), "array") for at, key in enumerate(keys) if key.isdigit()]
    if lookup == "isnull":
        present = Q(*arrays, ~Q(_HasType(_value(path, keys), "null")))
        return ~present if value else present
    comparison: Any
    if kind == "number":
        numbers = value if lookup == "in" else [value]
        comparison = _Compares(_value(path, keys), (_NUMBER[lookup], numbers))
    else:
        operand = _spelled(value) if kind == "boolean" else value
        comparison = _TEXT[lookup](_value(path, keys, _Text), operand)
    return Q(*arrays, _HasType(_value(path, keys), kind), comparison)


def _value(path: str, keys: Sequence[str], last: type[KeyTransform] = KeyTransform) -> Any:
    # Step by step: in Django's notation a key that is named like a lookup would be one.
    value: Any = F(path)
    for at, key in enumerate(keys, 1):
        value = (last if at == len(keys) else KeyTransform)(key, value)
    return value


def _spelled(value: Any) -> Any:
    """Booleans as the engines write them when they are asked for text."""
    return [json.dumps(item) for item in value] if isinstance(value, list) else json.dumps(value)


class _Text(KeyTextTransform):
    """The value at a JSON path, as text."""

    def as_mysql(self, compiler: Any, connection: Any) -> Any:
        # With the collation that the value has by itself, 'red' would be equal to 'red '.
        sql, params = super().as_mysql(compiler, connection)
        return f"{sql} COLLATE utf8mb4_nopad_bin", params


class _JsonLookup(Lookup):
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        raise NotSupportedError(f"JSON paths have no defined meaning on {connection.vendor}.")


class _HasType(_JsonLookup):
    """The value is of the type on the right; one that is not there is null."""

    def as_sqlite(self, compiler: Any, connection: Any) -> Any:
        keys: list[str] = []
        column = self.lhs
        while isinstance(column, KeyTransform):
            keys.insert(0, column.key_name)
            column = column.lhs
        sql, params = compiler.compile(column)
        return self._among(connection, f"JSON_TYPE({sql}, %s)"), (*params, _sqlite_path(keys))

    def as_postgresql(self, compiler: Any, connection: Any) -> Any:
        sql, params = self.process_lhs(compiler, connection)
        return self._among(connection, f"jsonb_typeof({sql})"), params

    def as_mysql(self, compiler: Any, connection: Any) -> Any:
        sql, params = self.process_lhs(compiler, connection)
        return self._among(connection, f"JSON_TYPE({sql})"), params

    def _among(self, connection: Any, actual: str) -> str:
        wanted, null = _TYPES[self.rhs][connection.vendor], _TYPES["null"][connection.vendor]
        return f"COALESCE({actual}, {null}) IN ({wanted})"


class _Compares(_JsonLookup):
    """The value, which is a number, compares with the operator and the numbers on the right, whatever its spelling."""

    def as_sqlite(self, compiler: Any, connection: Any) -> Any:
        sql, params = self.process_lhs(compiler, connection)
        return self._compared(sql), (*params, *self._numbers)

    def as_postgresql(self, compiler: Any, connection: Any) -> Any:
        # As JSON, whose numbers it compares exactly: a cast of the value might come before the look at its type.
        sql, params = self.process_lhs(compiler, connection)
        return self._compared(sql, "%s::jsonb"), (*params, *map(json.dumps, self._numbers))

    def as_mysql(self, compiler: Any, connection: Any) -> Any:
        # There JSON is text. A double is too narrow for whole numbers of 19 digits, a decimal for powers of ten.
        sql, params = self.process_lhs(compiler, connection)
        whole, other = (self._compared(f"CAST({sql} AS {number})") for number in ("DECIMAL(19)", "DOUBLE"))
        return (
            f"CASE WHEN {sql} REGEXP '{_WHOLE}' THEN {whole} ELSE {other} END",
            (*params, *params, *self._numbers, *params, *self._numbers),
        )

    @property
    def _numbers(self) -> Any:
        return self.rhs[1]

    def _compared(self, value: str, placeholder: str = "%s") -> str:
        if not self._numbers:
            raise EmptyResultSet
        return f"{value} {self.rhs[0]} ({', '.join([placeholder] * len(self._numbers))})"


def _sqlite_path(keys: Sequence[str]) -> str:
    # A policy lets through no key that would need more than quotes.
    return "$" + "".join(f"[{int(key)}]" if key.isdigit() else f'."{key}"' for key in keys)
