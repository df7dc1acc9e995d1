"""The SQL of an UPDATE, for those who add to it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, cast

from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F, Field, Lookup, Model, Q
from django.db.models.sql import UpdateQuery

from ..auditing.keys import key_fields
from ..auditing.statements import listed_keys
from .change import Update
from .transactions import has_parents

# What a field may have to say about its placeholder, by Django version.
_PLACEHOLDERS = ("get_placeholder", "get_placeholder_sql")


def update_sql(statement: Update) -> tuple[str, Sequence[Any]]:
    """The UPDATE and its parameters, as Django's ``update()`` would send it; no SQL where it can reach no row."""
    rows = statement.narrowed()
    query: Any = rows.query.chain(UpdateQuery)
    query.add_update_values({field.name: value for field, value in statement.values.items()})
    query.clear_ordering(force=True)
    query.clear_select_clause()
    try:
        sql, params = query.get_compiler(rows.db).as_sql()
    except EmptyResultSet:
        return "", ()
    return sql, params


def can_return_keys(model: type[Model], alias: str) -> bool:
    """Whether an UPDATE can answer the keys of its rows: PostgreSQL, SQLite from 3.35 on, for models of one table."""
    connection = connections[alias]
    can = connection.vendor != "mysql" and connection.features.can_return_columns_from_insert
    return can and not has_parents(model)


def update_returning_keys(statement: Update) -> Sequence[Any]:
    """Send the UPDATE and answer the keys of the rows it changed."""
    sql, params = update_sql(statement)
    if not sql:
        return ()
    connection = connections[statement.rows.db]
    fields = key_fields(statement.rows.model)
    returned = ", ".join(connection.ops.quote_name(field.column) for field in fields)
    with connection.cursor() as cursor:
        cursor.execute(f"{sql} RETURNING {returned}", params)
        rows = cursor.fetchall()
    columns = [_converted(field, [row[position] for row in rows], connection) for position, field in enumerate(fields)]
    return columns[0] if len(fields) == 1 else list(zip(*columns, strict=True))


def key_in(model: type[Model], keys: Sequence[Any], name: str = "pk") -> Q:
    """The condition that a row's key ``name``, of ``model``, is one of ``keys``; cheaper to compile than ``pk__in``."""
    if len(key_fields(model)) > 1:
        return Q((f"{name}__in", keys))
    return Q(_KeyIn(F(name), keys))


class _KeyIn(Lookup):
    """``IN`` with keys that are listed as they are."""

    lookup_name = "in"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        sql, params = self.process_lhs(compiler, connection)
        listed, values = listed_keys(self.lhs.target.model, self.rhs, connection)
        return f"{sql} IN {listed}", (*params, *values)


def our_queryset(model: type[Model], alias: str) -> Any:
    """All rows of ``model`` as a queryset whose writes take the write path, ``None`` where no repository makes one."""
    for manager in (model._base_manager, *model._meta.managers):
        rows = type(manager.get_queryset())
        if hasattr(rows, "send_update"):
            return rows(model, using=alias)
    return None


def is_plain_save(statement: Update) -> bool:
    """Whether the UPDATE of a save has nothing that Django's compiler would be needed for."""
    rows = statement.rows
    return (
        bool(statement.values)
        and not statement.returns_columns
        and not statement.conditions
        and not rows.query.where
        and not rows.model._meta.select_on_save
        and not any(hasattr(value, "resolve_expression") for value in statement.values.values())
        and not any(_has_placeholder(cast("Any", type(field))) for field in statement.values)
    )


def send_save(statement: Update) -> list[tuple[()]]:
    """Send the UPDATE of a plain save and answer as Django's own does."""
    connection = connections[statement.rows.db]
    sql, params = save_sql(statement, connection)
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return as_returned(cursor.rowcount)


def as_returned(count: int) -> list[tuple[()]]:
    """So many rows, each without returned columns: true where there is one, as Django's answer is."""
    return [()] * count


def save_sql(statement: Update, connection: BaseDatabaseWrapper) -> tuple[str, Sequence[Any]]:
    """The UPDATE of one row of one table. Its text is put together once for each set of columns.

    Compiling it anew, as Django does, takes about as long as a local database takes to execute it.
    """
    model = statement.rows.model
    get: Any = model._meta.get_field
    fields = key_fields(model)
    key = statement.pk if len(fields) > 1 else (statement.pk,)
    narrowing = [(get(name), value) for name, value in statement.equals.items()]
    equal = [*zip(fields, key, strict=True), *((field, value) for field, value in narrowing if value is not None)]
    sql = _save_text(
        connection.vendor,
        model._meta.db_table,
        _columns(statement.values),
        _columns(field for field, _ in equal),
        _columns(field for field, value in narrowing if value is None),
    )
    params = [field.get_db_prep_save(value, connection) for field, value in statement.values.items()]
    params += [field.get_db_prep_value(value, connection) for field, value in equal]
    return sql, params


def _columns(fields: Any) -> tuple[str, ...]:
    return tuple(field.column for field in fields)


@lru_cache(maxsize=1024)
def _save_text(
    vendor: str, table: str, assigned: tuple[str, ...], equal: tuple[str, ...], null: tuple[str, ...]
) -> str:
    quote = next(connection.ops.quote_name for connection in connections.all() if connection.vendor == vendor)
    assignments = ", ".join(f"{quote(column)} = %s" for column in assigned)
    conditions = " AND ".join(
        [*(f"{quote(column)} = %s" for column in equal), *(f"{quote(column)} IS NULL" for column in null)]
    )
    return f"UPDATE {quote(table)} SET {assignments} WHERE {conditions}"


@lru_cache(maxsize=256)
def _has_placeholder(kind: Any) -> bool:
    return any(getattr(kind, name, None) is not getattr(Field, name, None) for name in _PLACEHOLDERS)


def _converted(field: Any, values: list[Any], connection: BaseDatabaseWrapper) -> list[Any]:
    """``values`` as the database answered them, made into what the field holds."""
    column = field.get_col(field.model._meta.db_table)
    for convert in (*connection.ops.get_db_converters(column), *column.get_db_converters(connection)):
        values = [convert(value, column, connection) for value in values]
    return values
