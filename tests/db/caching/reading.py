"""What ``Model.from_db`` is given in a plain read, and whether a cached row makes the same instance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, models

from django_enterprise_repo.caching.codec import row_codec
from tests.identical import identical


def read(model: type[models.Model], pk: Any) -> tuple[Any, tuple[Any, ...]]:
    """An instance from the database, and the values that it was made of."""
    instance, values, _ = _read(model, pk)
    return instance, values


def assert_cached_as_read(model: type[models.Model], pk: Any) -> Any:
    """An instance from cached bytes is in every attribute what a plain read makes. The plain one."""
    plain, values, options = _read(model, pk)
    codec = row_codec(model)
    decoded = codec.decode(codec.encode(values), connection.timezone)
    cached = model.from_db(connection.alias, _names(model), decoded, **options)

    assert identical(decoded, values)
    assert attributes(cached) == attributes(plain)
    for name, value in attributes(plain).items():
        assert identical(attributes(cached)[name], value), name
    assert vars(cached._state) == vars(plain._state)
    return plain


def attributes(instance: models.Model) -> dict[str, Any]:
    return {name: value for name, value in vars(instance).items() if name != "_state"}


def _read(model: type[models.Model], pk: Any) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    given = []

    def from_db(cls: Any, db: Any, names: Any, values: Any, **options: Any) -> Any:  # Django 6.1: a fetch mode
        given.append((list(names), tuple(values), options))
        return make(cls, db, names, values, **options)

    make: Callable[..., Any] = model.from_db.__func__  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "from_db", classmethod(from_db))
        instance = model._base_manager.get(pk=pk)
    ((names, values, options),) = given
    assert names == _names(model)
    return instance, values, options


def _names(model: type[models.Model]) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields]
