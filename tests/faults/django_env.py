"""Databases that Django gets to know for the length of a test."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.faults.clusters import APPLICATION_USER
from tests.faults.processes import LOOPBACK


def postgres(name: str, *ports: int, engine: str = "django.db.backends.postgresql", **options: Any) -> dict[str, Any]:
    """Settings for a PostgreSQL database, at the first of the ports that will do; ``options`` are psycopg's."""
    # The proxy reads what is sent, so nothing may be encrypted.
    options = {"connect_timeout": 5, "sslmode": "disable", "gssencmode": "disable", **options}
    return _settings(engine, name, ports, APPLICATION_USER, options)


def mariadb(name: str, port: int, *, engine: str = "django.db.backends.mysql", **options: Any) -> dict[str, Any]:
    """Settings for a MariaDB database; ``options`` are those of mysqlclient."""
    return _settings(engine, name, [port], "root", {"connect_timeout": 5, "charset": "utf8mb4", **options})


def _settings(engine: str, name: str, ports: Sequence[int], user: str, options: dict[str, Any]) -> dict[str, Any]:
    host, port = ",".join([LOOPBACK] * len(ports)), ",".join(map(str, ports))
    return {"ENGINE": engine, "NAME": name, "USER": user, "HOST": host, "PORT": port, "OPTIONS": options}


@contextmanager
def databases(settings: Mapping[str, Mapping[str, Any]]) -> Iterator[None]:
    """Make aliases known, or give known ones other settings, and take that back in the end.

    Settings get Django's defaults. In the end the connections that any thread has made are closed, and the pools;
    threads should have ended by then. A connection that this thread had under a known alias comes back.
    """
    complete = connections.configure_settings({DEFAULT_DB_ALIAS: {}, **copy.deepcopy(dict(settings))})
    known = {alias: connections.settings.get(alias) for alias in settings}
    parked = {alias: _taken(alias) for alias in settings}
    for alias in settings:
        connections.settings[alias] = complete[alias]
    try:
        with _made_connections() as made:
            yield
    finally:
        for alias in settings:
            _taken(alias)
            connections.settings.pop(alias)
            if known[alias] is not None:
                connections.settings[alias] = known[alias]
            if (wrapper := parked[alias]) is not None:
                connections[alias] = wrapper
        _close([wrapper for wrapper in made if wrapper.alias in settings])


@contextmanager
def _made_connections() -> Iterator[list[BaseDatabaseWrapper]]:
    """Everything that ``connections`` makes, in any thread."""
    made: list[BaseDatabaseWrapper] = []
    create = connections.create_connection
    lock = threading.Lock()

    def create_and_note(alias: str) -> BaseDatabaseWrapper:
        wrapper = create(alias)
        with lock:
            made.append(wrapper)
        return wrapper

    connections.create_connection = create_and_note  # type: ignore[method-assign]
    try:
        yield made
    finally:
        connections.create_connection = create  # type: ignore[method-assign]


def _taken(alias: str) -> BaseDatabaseWrapper | None:
    """This thread's connection object, which it then no longer has."""
    wrapper: BaseDatabaseWrapper | None = getattr(connections._connections, alias, None)  # type: ignore[attr-defined]
    if wrapper is not None:
        del connections[alias]
    return wrapper


def _close(wrappers: list[BaseDatabaseWrapper]) -> None:
    errors: list[Exception] = []
    for wrapper in wrappers:
        wrapper.inc_thread_sharing()
        try:
            wrapper.close()
        except Exception as error:  # noqa: BLE001  # the others are to be closed, too
            errors.append(error)
    for wrapper in wrappers:
        if wrapper.alias in getattr(wrapper, "_connection_pools", {}):
            wrapper.close_pool()  # type: ignore[attr-defined]
    if errors:
        raise ExceptionGroup("Connections could not be closed.", errors)


def create_tables(alias: str, *wanted: type[models.Model]) -> None:
    """Create the tables of these models, of those they refer to, and of their histories."""
    needed: dict[type[models.Model], None] = {}
    pending = list(wanted)
    while pending:
        model = pending.pop()._meta.concrete_model
        if model is None or model in needed:
            continue
        needed[model] = None
        pending += _companions(model)
    with connections[alias].schema_editor() as editor:
        for model in needed:
            if model._meta.managed and not model._meta.auto_created:  # a table between two comes with the first
                editor.create_model(model)


def _companions(model: type[models.Model]) -> Iterator[type[models.Model]]:
    yield from model._meta.parents
    for field in (*model._meta.local_fields, *model._meta.local_many_to_many):
        if isinstance(field.remote_field, models.fields.reverse_related.ForeignObjectRel):
            yield field.remote_field.model
            if through := getattr(field.remote_field, "through", None):
                yield through
    if name := getattr(model._meta, "simple_history_manager_attribute", None):
        yield getattr(model, name).model
