"""Set updates whose conditions find the same rows afterwards, so that nobody has to list these in between.

That takes an engine on which nobody else writes meanwhile, and conditions that ask for no column that changes.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any
from weakref import WeakKeyDictionary

from django.db import connections
from django.db.models import Lookup
from django.db.models.expressions import Col
from django.db.models.sql.where import WhereNode

from .change import Update
from .locking import begin_writing
from .transactions import has_parents

# By connection: tables that have a trigger, and those that have none. One that appears later and changes what a
# condition asks for makes the counts of change and record differ, and then nothing is changed.
_triggers: WeakKeyDictionary[Any, dict[str, bool]] = WeakKeyDictionary()


def is_steady(statement: Update) -> bool:
    """Whether the conditions of an UPDATE choose the same rows after it as before: on SQLite, for one table."""
    alias = statement.rows.db
    if connections[alias].vendor != "sqlite" or has_parents(statement.rows.model):
        return False
    query = statement.narrowed().query
    tables = sum(count > 0 for count in query.alias_refcount.values())
    is_plain = tables <= 1 and not query.distinct and query.group_by is None and not query.extra
    return is_plain and _asks_for_others(query.where, statement.values) and not _has_triggers(statement)


def _asks_for_others(condition: Any, changing: Container[Any]) -> bool:
    """Whether ``condition`` compares columns that are not ``changing`` with plain values."""
    if isinstance(condition, WhereNode):
        return all(_asks_for_others(child, changing) for child in condition.children)
    if not isinstance(condition, Lookup) or not isinstance(condition.lhs, Col):
        return False
    column, rhs = condition.lhs.target, condition.rhs
    if column in changing or column.generated:
        return False
    values = rhs if isinstance(rhs, list | tuple | set | frozenset) else (rhs,)
    return not any(hasattr(value, "as_sql") or hasattr(value, "resolve_expression") for value in values)


def _has_triggers(statement: Update) -> bool:
    """Whether the table has triggers, which may change more columns than the statement says."""
    connection = connections[statement.rows.db]
    table = statement.rows.model._meta.db_table
    known = _triggers.setdefault(connection, {})
    if table not in known:
        begin_writing(statement.rows)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT EXISTS(SELECT 1 FROM (SELECT * FROM sqlite_master UNION ALL SELECT * FROM sqlite_temp_master) "
                "WHERE type = 'trigger' AND tbl_name = %s COLLATE NOCASE)",
                [table],
            )
            known[table] = bool(cursor.fetchone()[0])
    return known[table]
