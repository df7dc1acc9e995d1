"""Reading one row by its primary key with a statement that is compiled once.

Of the time that Django's ``get(pk=…)`` takes, most goes into cloning querysets and compiling the same SQL again. The
statement sent here is the one that Django compiles, word for word, and so are its converters; only the key differs.
Both belong to one connection, whose own methods the converters are.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast
from uuid import UUID

from django.core.signals import setting_changed
from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import CharField, CompositePrimaryKey, Field, IntegerField, Model, UUIDField, Value, query
from django.db.models.base import ModelState
from django.db.models.fields.related_descriptors import ForeignKeyDeferredAttribute
from django.db.models.query import MAX_GET_RESULTS
from django.db.models.query_utils import DeferredAttribute
from django.db.models.signals import post_init, pre_init

# Keys of these types need no look by their field before they are used.
_PLAIN_KEYS: tuple[tuple[type[Field[Any, Any]], type], ...] = ((IntegerField, int), (CharField, str), (UUIDField, UUID))
#: What 64 bits hold, for databases that set no limit of their own.
_WIDEST = (-(2**63), 2**63 - 1)


class KeyedRead:
    """The read of one row of a model by its key, on one connection.

    Attributes:
        alias: the connection's.
        connection: the one it was compiled for.
        door: the way to the cache of these rows, for who makes one.
        model: whose rows.
        attnames: the attributes whose values :meth:`fetch` answers, in their order.
        key_type: the type of keys that can be used as they come; ``None`` where each has to be looked at.
    """

    __slots__ = (
        "_converters",
        "_is_plain",
        "_key_places",
        "_parameters",
        "_parts",
        "_rows",
        "_sql",
        "alias",
        "attnames",
        "connection",
        "door",
        "key_type",
        "model",
    )

    def __init__(self, rows: Any, alias: str) -> None:
        """For ``rows``, a queryset of all rows that a repository has of its model."""
        self.model: type[Model] = rows.model
        self.connection = connections[alias]
        self.alias = alias
        self.door: Any = None
        self.attnames = [field.attname for field in self.model._meta.concrete_fields]
        fields = key_fields(self.model)
        self._rows: Any = rows
        self._sql: str | None = None
        self._is_plain = _is_plain(self.model, self.attnames)
        self._key_places = [self.attnames.index(field.attname) for field in fields]
        self.key_type = _plain_type(fields)

    def _compile(self) -> str:
        """Make the statement and keep it.

        The first read does so, within its operation, as a backend may have to ask its server.
        """
        fields = key_fields(self.model)
        rows = self._rows.filter(
            **{field.attname: _KeyPart(field, number) for number, field in enumerate(fields)}
        ).order_by()
        rows.query.set_limits(high=MAX_GET_RESULTS)
        compiler = rows.query.get_compiler(using=self.alias)
        sql: str
        sql, parameters = compiler.as_sql()
        self._parameters = list(parameters)
        self._parts = [
            _Part(place, parameter.number, fields, self.connection)
            for place, parameter in enumerate(parameters)
            if isinstance(parameter, _KeyPart)
        ]
        columns = [column for column, _, _ in compiler.select]
        assert [column.target.attname for column in columns] == self.attnames
        self._converters = [(place, *found) for place, found in compiler.get_converters(columns).items()]
        self._rows, self._sql = None, sql
        return sql

    def fetch(self, key: Any) -> Sequence[Any] | None:
        """The values of the row with this key, as ``Model.from_db()`` takes them; ``None`` if there is no such row.

        Raises:
            Model.MultipleObjectsReturned: the key is not one, in a view say.
        """
        sql = self._sql or self._compile()
        parameters = self._parameters.copy()
        for part in self._parts:
            value = key if part.number is None else key[part.number]
            if part.is_beyond(value):
                return None
            parameters[part.place] = part.prepare(value, self.connection)
        with self.connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            rows = cursor.fetchall()
        if len(rows) != 1:
            if rows:
                raise _several(self.model, len(rows))
            return None
        return self._converted(rows[0]) if self._converters else cast("Sequence[Any]", rows[0])

    def fetch_many(self, rows: Any, keys: Sequence[Any]) -> dict[Any, Sequence[Any]]:
        """:meth:`fetch` for several keys at once, those of missing rows left out: ``rows`` is the queryset to ask."""
        found: dict[Any, Sequence[Any]] = {}
        size = max(1, (self.connection.features.max_query_params or len(keys)) // len(self._key_places))
        for start in range(0, len(keys), size):
            chunk = keys[start : start + size]
            for values in rows.filter(pk__in=chunk).values_list(*self.attnames):
                found[self._key_of(values)] = values
        return found

    def entity(self, values: Sequence[Any]) -> Model:
        """The entity with these values, as if loaded."""
        if not self._is_plain or has_receivers(self.model):
            return cast("Model", _from_db(self.model)(self.alias, self.attnames, values))
        # What Django's from_db() comes to where nobody has a say in it, at a third of the price.
        entity = self.model.__new__(self.model)
        entity.__dict__.update(zip(self.attnames, values, strict=True))
        entity._state = state = ModelState()
        state.adding, state.db = False, self.alias
        return entity

    def _key_of(self, values: Sequence[Any]) -> Any:
        key = tuple(values[place] for place in self._key_places)
        return key if len(key) > 1 else key[0]

    def _converted(self, row: Sequence[Any]) -> Sequence[Any]:
        values = list(row)
        for place, converters, column in self._converters:
            for convert in converters:
                values[place] = convert(values[place], column, self.connection)
        return values


def keyed_read(alias: str, repository: Any) -> KeyedRead:
    """The compiled read for a repository whose rows are nobody's but its own; kept with this thread's connection."""
    connection: Any = connections[alias]
    name = (type(repository), repository.model, _era)
    try:
        return cast("KeyedRead", connection.repository_reads[name])
    except AttributeError:
        connection.repository_reads = {}
    except KeyError:
        pass
    read = connection.repository_reads[name] = KeyedRead(repository.get_queryset(), alias)
    return read


#: Replaced when settings change that converters look at when they are chosen.
_era = object()


def _setting_changed(*, setting: str, **kwargs: Any) -> None:
    global _era
    if setting in ("DATABASES", "TIME_ZONE", "USE_TZ"):
        _era = object()


setting_changed.connect(_setting_changed, dispatch_uid="enterprise_repo_compiled")


def key_fields(model: Any) -> tuple[Field[Any, Any], ...]:
    """The columns of the primary key of a model."""
    pk: Any = model._meta.pk
    return tuple(cast("Any", pk).fields) if isinstance(pk, CompositePrimaryKey) else (pk,)


def _several(model: Any, number: int) -> Exception:
    told = number if number < MAX_GET_RESULTS else f"more than {MAX_GET_RESULTS - 1}"
    several: Exception = model.MultipleObjectsReturned(
        f"get() returned more than one {model._meta.object_name} -- it returned {told}!"
    )
    return several


def has_receivers(model: type[Model]) -> bool:
    """Whether somebody wants to hear of every instance that is made."""
    if not (pre_init.receivers or post_init.receivers):
        return False
    return pre_init.has_listeners(model) or post_init.has_listeners(model)


def _from_db(model: Any) -> Callable[..., Any]:
    """``from_db()`` of a model as Django calls it: since 6.1 with how the fields that are missing are fetched."""
    mode = getattr(models, "FETCH_ONE", None)
    if mode is None:
        return cast("Callable[..., Any]", model.from_db)
    bind: Any = getattr(query, "_get_from_db", None)  # warns where a project's from_db() does not know of that yet
    return partial(model.from_db, fetch_mode=mode) if bind is None else cast("Callable[..., Any]", bind(model, mode))


def _is_plain(model: Any, attnames: Sequence[str]) -> bool:
    """Whether instances are made by Django alone and hold values as they come."""
    if model.__init__ is not Model.__init__ or model.from_db.__func__ is not cast("Any", Model).from_db.__func__:
        return False
    attributes = [inspect.getattr_static(model, attname, None) for attname in attnames]
    return all(type(attribute) in _PLAIN_ATTRIBUTES for attribute in attributes)


#: Of columns whose values are kept in the instance's own dictionary and nowhere else.
_PLAIN_ATTRIBUTES = (DeferredAttribute, ForeignKeyDeferredAttribute)


class _KeyPart(Value):
    """Stands in the statement where one part of the key goes. A value, as others are put into parentheses."""

    def __init__(self, field: Field[Any, Any], number: int) -> None:
        super().__init__(number, output_field=field)
        self.number = number

    def as_sql(self, compiler: Any, connection: BaseDatabaseWrapper) -> tuple[str, list[Any]]:  # type: ignore[override]
        return "%s", [self]


class _Part:
    """How one part of a key becomes a parameter."""

    __slots__ = ("_field", "_limits", "number", "place")

    def __init__(
        self, place: int, number: int, fields: Sequence[Field[Any, Any]], connection: BaseDatabaseWrapper
    ) -> None:
        field = fields[number]
        self.place = place
        #: Which part of a composite key it is.
        self.number = number if len(fields) > 1 else None
        self._field = field
        self._limits: tuple[int, int] | None = None
        target = value_field(field)
        if isinstance(target, IntegerField):
            limits: Sequence[int | None] = connection.ops.integer_field_range(target.get_internal_type())
            low, high = (widest if limit is None else limit for limit, widest in zip(limits, _WIDEST, strict=True))
            self._limits = (low, high)

    def prepare(self, value: Any, connection: BaseDatabaseWrapper) -> Any:
        """``value`` as a parameter, by the two steps that a lookup takes."""
        return self._field.get_db_prep_value(self._field.get_prep_value(value), connection, prepared=True)

    def is_beyond(self, value: Any) -> bool:
        """Whether the column cannot hold ``value``: no row has it, and the database would complain."""
        return self._limits is not None and not self._limits[0] <= value <= self._limits[1]


def _plain_type(fields: Sequence[Field[Any, Any]]) -> type | None:
    if len(fields) != 1:
        return None
    target = value_field(fields[0])
    return next((kind for field, kind in _PLAIN_KEYS if isinstance(target, field)), None)


def value_field(field: Any) -> Any:
    """The field whose values the column holds, at the end of the relations that it may be."""
    while field.remote_field is not None:
        field = field.target_field
    return field
