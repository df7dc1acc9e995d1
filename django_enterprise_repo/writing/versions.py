"""Optimistic locking: a version column that every update tests or moves on.

An update of one entity carries the version the entity was read with and must find it unchanged. Deleting and
restoring are no exception. A set update has no version to compare; it moves the column on, so that everybody
who holds one of the rows is stale afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, cast

from django.db.models import F, Field, Model, QuerySet

from ..exceptions import InvalidArgument, StaleObjectError
from .change import Change, S, Update
from .locking import locked

# Keys that one statement may list.
_CHUNK = 1000


def version_field(model: type[Model]) -> Field[Any, int] | None:
    """The version column of a ``VersionedModel``, ``None`` on other models."""
    name = getattr(model, "version_field_name", None)
    return None if name is None else cast("Field[Any, int]", model._meta.get_field(name))


def held_version(entity: Model) -> int | None:
    """The version that ``entity`` was read with, ``None`` when its model has none.

    Raises:
        InvalidArgument: the column was deferred, so that nobody can know what the values rest on.
    """
    field = version_field(type(entity))
    if field is None:
        return None
    if field.attname not in entity.__dict__:
        raise InvalidArgument(
            f"The version of this {entity._meta.label} was not loaded, so a conflict could not be seen. "
            f"Load {field.name!r} too, or give expected_version=."
        )
    version: int = entity.__dict__[field.attname]
    return version


def check_stale(entity: Model, alias: str, expected: int | None, *, may_be_new: bool) -> None:
    """Raise :class:`StaleObjectError` for an update that found no row with the expected version.

    ``may_be_new`` lets an entity pass that Django has yet to insert, when no row has its key.
    """
    model = type(entity)
    field = version_field(model)
    assert field is not None
    actual = model._base_manager.using(alias).filter(pk=entity.pk).values_list(field.attname, flat=True).first()
    if actual is None and may_be_new:
        return
    raise StaleObjectError(model, entity.pk, expected=expected, actual=actual)


def check_held_versions(held: Mapping[Any, Model], rows: QuerySet[Any]) -> list[Any]:
    """Lock the rows of entities, given by key, and answer the keys of those that are there.

    Raises:
        StaleObjectError: a row is not as its entity was read.
        InvalidArgument: an entity was loaded without its version.
    """
    field = version_field(rows.model)
    assert field is not None
    keys = list(held)
    reached: list[Any] = []
    for start in range(0, len(keys), _CHUNK):
        for pk, actual in locked(rows.filter(pk__in=keys[start : start + _CHUNK])).values_list("pk", field.attname):
            expected = held_version(held[pk])
            if actual != expected:
                raise StaleObjectError(rows.model, pk, expected=expected, actual=actual)
            reached.append(pk)
    return reached


class Versions:
    """The concern behind ``VersionedModel``. Fixtures keep the versions they carry."""

    def applies_to(self, model: type[Model]) -> bool:
        return version_field(model) is not None

    def prepare(self, change: Change) -> None:
        if change.entity is None or change.raw:
            return
        expected = held_version(change.entity)
        if change.kind == "-":
            self._claim(change, change.entity, expected)

    def fold(self, change: Change, statement: S) -> S:
        field = version_field(change.model)
        if field is None or change.raw or not isinstance(statement, Update):
            return statement
        if change.entity is None:
            if field in statement.values:  # set by hand: whoever repairs versions means it
                return statement
            return statement.assign({field: F(field.name) + 1})  # type: ignore[return-value]  # S is Update here
        if field not in statement.rows.model._meta.local_concrete_fields:
            return statement  # another table of the same entity
        entity, expected = change.entity, held_version(change.entity)
        assert expected is not None
        narrowed = (
            statement.where(**{field.attname: expected})
            .assign({field: expected + 1})
            .on_miss(partial(check_stale, entity, change.alias, expected, may_be_new=entity._state.adding))
        )
        return narrowed.on_reach(partial(setattr, entity, field.attname, expected + 1))  # type: ignore[return-value]  # S is Update here

    def applied(self, change: Change, outcome: Any) -> None:
        """Nothing to follow: the entity took its new version when its row did."""

    def _claim(self, change: Change, entity: Model, expected: int | None) -> None:
        """Make the row ours before it is deleted, by the same conditional UPDATE as any other change."""
        field = version_field(change.model)
        assert field is not None
        assert expected is not None
        rows: Any = field.model._base_manager.using(change.alias).filter(pk=entity.pk, **{field.attname: expected})
        if not rows._update([(field, None, expected + 1)]):
            check_stale(entity, change.alias, expected, may_be_new=False)
