"""Under which keys the rows of a model are cached.

A key names the database and not the alias, so that two aliases of one database invalidate each other, and the table
and not the model, so that proxies do. It names no version of the schema: an old process has to find what it
invalidates for a new one. The schema is inside the value.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import CharField, Field, IntegerField, Model, TextField, UUIDField

from .compiled import key_fields, value_field


class RowKeys(NamedTuple):
    """The three keys of one row.

    Attributes:
        epoch: what changes when rows of the model change and nobody knows which.
        generation: what changes when this row changes.
        value: the row.
    """

    epoch: str
    generation: str
    value: str


def row_keys(table: str, key: Any) -> RowKeys:
    """The keys of the row with this primary key, in its own type; ``table`` is what :func:`table_name` says."""
    name = f"{table}:{_name_of(key)}"
    return RowKeys(f"{table}:e", f"{name}:g", f"{name}:v")


def generation_key(model: type[Model], key: Any, connection: BaseDatabaseWrapper) -> str:
    """Where the generation of a row of a concrete model is."""
    return row_keys(table_name(model, connection), key).generation


def typed_key(model: type[Model], key: Any) -> Any:
    """A primary key as :func:`row_keys` wants it, from what somebody has put into an instance.

    Raises:
        ValueError: no row can have it, or only the database knows it.
    """
    fields = key_fields(model)
    try:
        if len(fields) == 1:
            return fields[0].to_python(key)
        return tuple(field.to_python(part) for field, part in zip(fields, key, strict=True))
    except (ValidationError, TypeError, ValueError):
        raise ValueError("That is no primary key.") from None


def epoch_key(model: type[Model], connection: BaseDatabaseWrapper) -> str:
    """Where the epoch of a concrete model is."""
    return f"{table_name(model, connection)}:e"


def table_name(model: type[Model], connection: BaseDatabaseWrapper) -> str:
    """What the keys of the rows of a concrete model begin with."""
    settings = connection.settings_dict
    place = (connection.vendor, settings["HOST"], settings["PORT"], settings["NAME"], connection.alias, os.getpid())
    return _prefix(model._meta.db_table, _chosen(settings["OPTIONS"]), *place)


def epoch_of(key: str) -> str:
    """The epoch of the model that a row's generation belongs to; an epoch stays one."""
    prefix, digest, *_ = key.split(":")
    return f"{prefix}:{digest}:e"


def has_exact_keys(model: type[Model], vendor: str) -> bool:
    """Whether two keys of ``model`` are equal in the database only if they are equal here.

    They are not where a collation looks at less than every character, as MariaDB's do by default, or where a number
    has several spellings: a row would be cached under one of them and invalidated under another.
    """
    return all(_is_exact(value_field(field), vendor) for field in key_fields(model))


def _is_exact(field: Field[Any, Any], vendor: str) -> bool:
    if isinstance(field, CharField | TextField):
        return vendor in ("postgresql", "sqlite") and not getattr(field, "db_collation", None)
    return isinstance(field, IntegerField | UUIDField)


def _name_of(key: Any) -> str:
    if type(key) is int:
        return str(key)
    if isinstance(key, tuple | list):
        return ",".join(map(_name_of, key))
    if isinstance(key, UUID):
        return key.hex
    # Of text only the digest: memcached takes neither blanks nor more than 250 characters. And of the text itself:
    # str() of a member of an enumeration is its name.
    text = str.__str__(key) if isinstance(key, str) else str(key)
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _chosen(options: Mapping[str, Any]) -> tuple[str, ...]:
    """What a driver's options say of where the database is, and of where in it the tables are."""
    places = tuple(str(options[name]) for name in ("service", "read_default_file", "unix_socket") if name in options)
    return (*places, *_SCHEMA.findall(str(options["options"]))) if "options" in options else places


_SCHEMA = re.compile(r"(?:search_path|role)\s*=\s*(?:\\.|\S)+", re.IGNORECASE)


@lru_cache(maxsize=4096)
def _prefix(
    table: str, chosen: tuple[str, ...], vendor: str, host: str, port: Any, name: Any, alias: str, process: int
) -> str:
    database = (vendor, *_place(vendor, host, port, name, alias, process), *chosen)
    digest = blake2b("\0".join((*database, table)).encode(errors="surrogateescape"), digest_size=12)
    return f"repository:{digest.hexdigest()}"


def _place(vendor: str, host: str, port: Any, name: Any, alias: str, process: int) -> tuple[str, ...]:
    if vendor == "sqlite":
        if str(name) == ":memory:" or "mode=memory" in str(name):
            return (str(name), alias, str(process))  # nobody else's
        return (str(Path(str(name)).resolve()),)
    host = "127.0.0.1" if host in ("localhost", "::1") else host.lower()
    return (host, str(port or _PORTS.get(vendor, "")), str(name))


_PORTS = {"postgresql": "5432", "mysql": "3306", "oracle": "1521"}
