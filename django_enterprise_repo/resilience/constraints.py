"""Which constraint an error is about, and which fields of which model that constraint binds.

Errors name tables, columns and constraints, and quote the values of rows beside them. Only the names are read: a
column counts when a model has it, and of PostgreSQL's detail only what stands before the values.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from django.apps import apps
from django.db.models import CheckConstraint, F, Model, Q

from . import codes
from .drivers import driver_error, mysql_number, sqlite_name


class Violation(NamedTuple):
    """What an error tells about a constraint, in the database's words.

    Attributes:
        constraint: its name, ``None`` where the database does not tell.
        table: the table that it is on, ``None`` where the database does not tell.
        columns: the columns that it binds, empty where the database does not tell.
    """

    constraint: str | None = None
    table: str | None = None
    columns: tuple[str, ...] = ()


def violation(error: BaseException) -> Violation:
    """What ``error``, from Django or a driver, tells about a constraint or a column."""
    driver = driver_error(error)
    if (diag := getattr(driver, "diag", None)) is not None:
        return _of_postgres(diag)
    if sqlite_name(driver) is not None:
        return _of_sqlite(str(driver))
    if mysql_number(driver) is not None:
        return _of_mysql(driver)
    return _match(codes.DJANGO_FOREIGN_KEY, str(driver)) or Violation()


# `Key (email, lower(name::text))=(…, …) already exists.` The word is translated, the shape is not. A value may
# contain anything, a column list does not contain `)=(`.
_DETAIL = re.compile(r"[^(]*\((?P<columns>.*?)\)=\(", re.DOTALL)


def _of_postgres(diag: Any) -> Violation:
    columns: tuple[str, ...] = (diag.column_name,) if diag.column_name else ()
    if not columns and (told := _DETAIL.match(diag.message_detail or "")) is not None:
        columns = _names(told["columns"])
    return Violation(diag.constraint_name, diag.table_name, columns)


_SQLITE_INDEX = re.compile(r"UNIQUE constraint failed: index '(?P<constraint>.+)'$")
_SQLITE_COLUMNS = re.compile(r"(?:UNIQUE|NOT NULL) constraint failed: (?P<columns>.+)$")
_SQLITE_CHECK = re.compile(r"CHECK constraint failed: (?P<constraint>\w+)$")
_SQLITE_COLUMN_CHECK = re.compile(r'CHECK constraint failed: "(?P<columns>\w+)" ')  # one without a name: its text


def _of_sqlite(text: str) -> Violation:
    found = _match(_SQLITE_INDEX, text) or _match(_SQLITE_CHECK, text) or _match(_SQLITE_COLUMN_CHECK, text)
    if found is not None:
        return found
    if (told := _SQLITE_COLUMNS.match(text)) is None:
        return Violation()
    places = [place.rpartition(".") for place in told["columns"].split(", ")]
    return Violation(None, places[0][0] or None, tuple(column for _, _, column in places))


_MYSQL = {
    # The entry comes first and may contain anything; the name of the key is what is quoted last.
    **dict.fromkeys((1062, 1586), re.compile(r".*'(?:(?P<table>[^'.]+)\.)?(?P<constraint>[^'.]+)'[^']*$", re.DOTALL)),
    **dict.fromkeys(
        (1216, 1217, 1451, 1452),
        re.compile(
            r".*?\(`[^`]+`\.`(?P<table>[^`]+)`, CONSTRAINT `(?P<constraint>[^`]+)` FOREIGN KEY \((?P<columns>[^)]+)\)"
        ),
    ),
    4025: re.compile(r".*?`(?P<constraint>[^`]+)`.*?`[^`]+`\.`(?P<table>[^`]+)`"),
    3819: re.compile(r"[^']*'(?P<constraint>[^']+)'"),
    **dict.fromkeys((1048, 1263, 1364), re.compile(r"[^']*'(?P<columns>[^']+)'")),
    **dict.fromkeys((1264, 1265, 1406), re.compile(r"[^']*'(?P<columns>[^']+)'[^']*$")),
    # Here the value comes first.
    **dict.fromkeys((1292, 1366), re.compile(r".*`[^`]+`\.`(?P<table>[^`]+)`\.`(?P<columns>[^`]+)`[^`]*$", re.DOTALL)),
}


def _of_mysql(driver: BaseException) -> Violation:
    number, text = driver.args[0], str(driver.args[1]) if len(driver.args) > 1 else ""
    pattern = _MYSQL.get(number) or codes.DJANGO_FOREIGN_KEY
    return _match(pattern, text) or Violation()


def _match(pattern: re.Pattern[str], text: str) -> Violation | None:
    told = pattern.search(text)
    if told is None:
        return None
    groups = told.groupdict()
    return Violation(groups.get("constraint"), groups.get("table"), _names(groups.get("columns") or ""))


def _names(listed: str) -> tuple[str, ...]:
    return tuple(name.strip('`"') for name in listed.split(", ") if name)


def describe(told: Violation, model: type[Model] | None, kind: str) -> tuple[str | None, tuple[str, ...]]:
    """The constraint's name and the names of the fields that it binds, as far as both can be told.

    Fields of another model than ``model``, say of its history or of what refers to it, come with their model's
    label before them. ``kind`` is the verdict's.
    """
    for owner, is_near in _owners(told.table, model):
        # Without a table, a name alone has to say which model it means.
        is_told = is_near or told.table is not None
        names = (
            _declared(told, owner)
            or (_by_columns(told, owner, kind) if is_told else ())
            or _by_generated_name(told, owner, strictly=not is_told)
        )
        if names:
            constraint = told.constraint
            if constraint is None and kind == "duplicate_key":
                constraint = _constraint_over(names, owner)
            return constraint, names if is_near else tuple(f"{owner._meta.label}.{name}" for name in names)
    return told.constraint, ()


def _owners(table: str | None, model: type[Model] | None) -> Iterator[tuple[type[Model], bool]]:
    """The models that a table can belong to, ``model`` and its parents first, and whether it is one of those."""
    near = (
        [] if model is None else list(filter(None, (m._meta.concrete_model for m in [model, *model._meta.all_parents])))
    )
    registry = apps if model is None else model._meta.apps
    others = (m for m in registry.get_models(include_auto_created=True) if not m._meta.proxy and m not in near)
    for owners, is_near in ((dict.fromkeys(near), True), (others, False)):
        for owner in owners:
            if table is None or owner._meta.db_table.strip('"') == table:
                yield owner, is_near


def _declared(told: Violation, owner: type[Model]) -> tuple[str, ...]:
    """The fields of the constraint of that name in the model's ``Meta``."""
    constraint = next((each for each in owner._meta.constraints if each.name == told.constraint), None)
    if constraint is None:
        return ()
    named = set(getattr(constraint, "fields", ()))
    for expression in getattr(constraint, "expressions", ()):
        # An exclusion constraint pairs each with an operator.
        named |= _referenced(expression[0] if isinstance(expression, tuple) else expression)
    if isinstance(constraint, CheckConstraint):
        named |= _referenced(constraint.condition)
    return tuple(field.name for field in owner._meta.concrete_fields if field.name in named or field.attname in named)


def _referenced(expression: Any) -> set[str]:
    if isinstance(expression, str):
        return {expression}
    if isinstance(expression, F):
        return {expression.name}  # type: ignore[attr-defined]  # the stubs forget it
    if isinstance(expression, Q):
        return set(expression.referenced_base_fields)
    return set().union(*(_referenced(part) for part in expression.flatten() if isinstance(part, F)))


def _by_columns(told: Violation, owner: type[Model], kind: str) -> tuple[str, ...]:
    by_column = {field.column: field for field in owner._meta.local_concrete_fields}
    fields = [by_column[column] for column in told.columns if column in by_column]
    if len(fields) < len(told.columns):
        return ()
    if kind == "foreign_key" and not all(field.is_relation for field in fields):
        return ()  # PostgreSQL names the column that is referred to when it is the row there that goes
    return tuple(field.name for field in fields)


# What follows the columns in the names that Django's schema editor and PostgreSQL make up.
_TAIL = re.compile(r"[0-9a-f]{8}(_|$)|key\d*$|pkey$|fkey\d*$|uniq$|fk_|check\d*$")


def _by_generated_name(told: Violation, owner: type[Model], *, strictly: bool) -> tuple[str, ...]:
    """The fields whose columns the name of a constraint was made from."""
    name, options = told.constraint, owner._meta
    if name is None:
        return ()
    keys = tuple(field.name for field in options.pk_fields)
    if name == f"{options.db_table}_pkey" or (name == "PRIMARY" and not strictly):
        return keys
    local = options.local_concrete_fields
    by_name = {field.name: field for field in local}
    groups: list[tuple[Any, ...]] = [(field,) for field in local]
    groups += [
        tuple(by_name[each] for each in group) for group in options.unique_together if by_name.keys() >= {*group}
    ]
    matching = [
        group
        for group in groups
        if (not strictly and name == group[0].column and len(group) == 1)  # MySQL's name for a column's own index
        or (
            name.startswith(start := f"{options.db_table}_{'_'.join(str(field.column) for field in group)}_")
            and _TAIL.match(name, len(start))
        )
    ]
    return tuple(field.name for field in max(matching, key=len, default=()))


def _constraint_over(names: Iterable[str], owner: type[Model]) -> str | None:
    """The name of the only unique constraint over these fields; SQLite tells columns and no names."""
    over = [each.name for each in owner._meta.constraints if set(getattr(each, "fields", ())) == set(names)]
    return over[0] if len(over) == 1 else None
