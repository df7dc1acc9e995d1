"""History rows made by the database: one statement a table, however many rows there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from django.core.exceptions import EmptyResultSet
from django.db import DataError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model, QuerySet, Value

from ..exceptions import HistoryMismatch
from .keys import key_fields
from .stamps import Stamp
from .tables import HistoryTable

# What the one-statement form fails with, as a text that no number can be made of.
_MISMATCH = "repository history mismatch"


def copy_rows(table: HistoryTable, rows: QuerySet[Any], kind: str, stamp: Stamp) -> int:
    """Record ``rows`` as they are now, and answer how many there were.

    Args:
        rows: of the audited model or of one that inherits its table; their order and columns don't matter.
        kind: ``"+"``, ``"~"`` or ``"-"``.
    """
    connection = connections[rows.db]
    values = [Value(value, output_field=column) for column, value in table.stamped(kind, stamp)]
    selected = rows.order_by().values_list(*(attname for _, attname in table.tracked), *values)
    try:
        sql, params = selected.query.get_compiler(rows.db).as_sql()
    except EmptyResultSet:
        return 0
    id_function = table.id_function(connection.vendor)
    if id_function is not None:
        sql = sql.replace("SELECT ", f"SELECT {id_function}, ", 1)
    with connection.cursor() as cursor:
        cursor.execute(f"{_insert_into(table, connection)} {sql}", params)
        return int(cursor.rowcount)


def copy_keys(table: HistoryTable, alias: str, keys: Sequence[Any], kind: str, stamp: Stamp) -> int:
    """Record the rows with these keys, of a model with one table, and answer how many there were.

    Django's compiler would take longer over some thousand keys than the database over the rows.
    """
    if not keys:
        return 0
    connection = connections[alias]
    listed, params = listed_keys(table.model, keys, connection)
    with connection.cursor() as cursor:
        cursor.execute(
            f"{_templates(table, connection).copy_keys} {listed}", (*_prepared(table, kind, stamp, connection), *params)
        )
        return int(cursor.rowcount)


def change_and_copy(table: HistoryTable, alias: str, sql: str, params: Sequence[Any], stamp: Stamp) -> int:
    """Update rows and record them in one statement; answer how many there were.

    PostgreSQL's data-modifying WITH: the rows that the UPDATE returns are the ones that the history takes. The
    statement compares the two counts by itself and fails as a whole where they differ, as when a trigger or a rule of
    the history's table leaves a row out; in autocommit it would be too late to raise afterwards.

    Args:
        sql: an UPDATE of the audited model's one table, without RETURNING.
        params: its parameters.

    Raises:
        HistoryMismatch: a row was left out; nothing was changed.
    """
    ((changed,),) = _send_change(table, alias, sql, params, stamp, "and_copy")
    return changed


def change_and_copy_one(table: HistoryTable, alias: str, sql: str, params: Sequence[Any], stamp: Stamp) -> bool:
    """:func:`change_and_copy` for the UPDATE of one row, less to plan; answer whether there was one."""
    return bool(_send_change(table, alias, sql, params, stamp, "and_copy_one"))


def _send_change(
    table: HistoryTable, alias: str, sql: str, params: Sequence[Any], stamp: Stamp, ending: str
) -> list[tuple[int]]:
    connection = connections[alias]
    templates = _templates(table, connection)
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                f"{templates.change}{sql}{getattr(templates, ending)}",
                (*params, *_prepared(table, "~", stamp, connection)),
            )
            rows: list[tuple[int]] = cursor.fetchall()
            return rows
    except DataError as error:
        if _MISMATCH in str(error):
            raise HistoryMismatch(table.model) from error
        raise


def delete_recorded(table: HistoryTable, alias: str, operation_id: UUID) -> int:
    """Delete the rows whose deletion an operation has recorded in its trail, and answer how many there were.

    The record is the row set: what others insert in the meantime is neither recorded nor deleted.
    """
    connection = connections[alias]
    with connection.cursor() as cursor:
        cursor.execute(
            _templates(table, connection).delete_recorded,
            [table.history._meta.get_field("history_operation_id").get_db_prep_save(operation_id, connection)],
        )
        return int(cursor.rowcount)


def listed_keys(model: type[Model], keys: Sequence[Any], connection: BaseDatabaseWrapper) -> tuple[str, list[Any]]:
    """The keys as the right-hand side of ``IN``, and its parameters.

    Integers are written out: as parameters they would cost a driver more than the database needs for their rows.
    """
    if all(type(key) is int for key in keys):
        return f"({', '.join(map(str, keys))})", []
    fields = key_fields(model)
    if len(fields) == 1:
        return f"({', '.join(['%s'] * len(keys))})", [fields[0].get_db_prep_value(key, connection) for key in keys]
    group = f"({', '.join(['%s'] * len(fields))})"
    pairs = ((field, value) for key in keys for field, value in zip(fields, key, strict=True))
    return f"({', '.join([group] * len(keys))})", [field.get_db_prep_value(value, connection) for field, value in pairs]


class _Templates(NamedTuple):
    copy_keys: str
    change: str
    and_copy: str
    and_copy_one: str
    delete_recorded: str


def _templates(table: HistoryTable, connection: BaseDatabaseWrapper) -> _Templates:
    found: _Templates | None = table.templates.get(connection.vendor)
    if found is None:
        found = table.templates[connection.vendor] = _make_templates(table, connection)
    return found


def _make_templates(table: HistoryTable, connection: BaseDatabaseWrapper) -> _Templates:
    quote = connection.ops.quote_name
    data, history = quote(table.model._meta.db_table), quote(table.history._meta.db_table)
    insert = _insert_into(table, connection)
    id_function = table.id_function(connection.vendor)
    get: Any = table.model._meta.get_field
    sources = ", ".join(quote(get(attname).column) for _, attname in table.tracked)
    chosen = f"{id_function}, {sources}" if id_function else sources
    stamped = ", ".join("%s" for _ in table.stamped_columns)
    keys = [(quote(field.column), quote(_history_column(table, field))) for field in key_fields(table.model)]
    operation = f"{history}.{quote('history_operation_id')} = %s AND {history}.{quote('history_type')} = '-'"
    mine, theirs = (", ".join(side) for side in zip(*keys, strict=True))
    mine = f"({mine})" if len(keys) > 1 else mine
    if connection.vendor == "mysql":  # which looks up a subquery anew for every row it may delete
        same = " AND ".join(f"{data}.{own} = {history}.{kept}" for own, kept in keys)
        delete = f"DELETE {data} FROM {data} INNER JOIN {history} ON {same} WHERE {operation}"
    else:
        delete = f"DELETE FROM {data} WHERE {mine} IN (SELECT {theirs} FROM {history} WHERE {operation})"
    recording = f" RETURNING {sources}), recorded AS ({insert} SELECT {chosen}, {stamped} FROM changed RETURNING 1)"
    return _Templates(
        copy_keys=f"{insert} SELECT {chosen}, {stamped} FROM {data} WHERE {mine} IN",
        change="WITH changed AS (",
        and_copy=f"{recording}, "
        "counted AS (SELECT (SELECT count(*) FROM changed) AS mine, (SELECT count(*) FROM recorded) AS theirs) "
        f"SELECT CASE WHEN mine = theirs THEN mine ELSE ('{_MISMATCH} ' || mine)::bigint END FROM counted",
        and_copy_one=f"{recording} "
        f"SELECT (CASE WHEN EXISTS (SELECT FROM recorded) THEN '1' ELSE '{_MISMATCH}' END)::int FROM changed",
        delete_recorded=delete,
    )


def _insert_into(table: HistoryTable, connection: BaseDatabaseWrapper) -> str:
    columns: list[Any] = [*(column for column, _ in table.tracked), *table.stamped_columns]
    if table.id_function(connection.vendor) is not None:
        columns.insert(0, table.history._meta.pk)
    names = ", ".join(connection.ops.quote_name(column.column) for column in columns)
    return f"INSERT INTO {connection.ops.quote_name(table.history._meta.db_table)} ({names})"


def _history_column(table: HistoryTable, field: Any) -> str:
    column: Any = next(column for column, attname in table.tracked if attname == field.attname)
    name: str = column.column
    return name


def _prepared(table: HistoryTable, kind: str, stamp: Stamp, connection: BaseDatabaseWrapper) -> list[Any]:
    return [column.get_db_prep_save(value, connection) for column, value in table.stamped(kind, stamp)]
