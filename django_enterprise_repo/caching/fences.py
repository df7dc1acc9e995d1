"""What a connection has written, and the locks that keep readers from filling the cache with what was before.

With an engine of this package the locks of a transaction are taken right before its COMMIT and again after it, and
statements that nobody announced (raw SQL, ``save()`` of a model that is no ``RepositoryModel``) lock the whole model.
With Django's own engines they are taken before the statement, and again after COMMIT.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model
from django.db.models.signals import post_migrate

from ..db import hooks
from ..resilience.guards import guard_of, is_in_transaction
from ..resilience.statements import StatementKind, text_of
from .cached import Cached, all_cached, cached_by, tables_of
from .keys import epoch_key, epoch_of, generation_key, typed_key
from .store import store


class Fences:
    """What one connection has to lock at the end of its transaction.

    Attributes:
        has_written: something was written in the present transaction, so that what it reads is nobody else's yet.
        announced: tables whose rows are locked already by who is about to send a statement, and how often.
    """

    __slots__ = ("_keys", "announced", "has_written", "is_elsewhere", "is_isolated", "is_isolation_chosen")

    def __init__(self) -> None:
        self._keys: dict[str, dict[str, int]] = {}
        self.has_written = False
        #: SQL has chosen an isolation, for one transaction or for all that follow.
        self.is_isolation_chosen = False
        #: It was another one than READ COMMITTED.
        self.is_isolated = False
        #: SQL has chosen another schema, role or database: its tables are not those that the keys name.
        self.is_elsewhere = False
        self.announced: Counter[str] = Counter()

    def add(self, cache: str, keys: Mapping[str, int]) -> None:
        """Lock these keys of a cache, each for its seconds, when the transaction ends."""
        pending = self._keys.setdefault(cache, {})
        pending.update(keys)
        if len(pending) > _MOST_PENDING:
            self._keys[cache] = {epoch_of(key): seconds for key, seconds in pending.items()}

    def lock(self) -> None:
        """Take every lock, or take it again."""
        for cache, keys in self._keys.items():
            store(cache).lock(keys)

    def end(self) -> None:
        """The transaction is over."""
        self._keys = {}
        self.has_written = False

    def note_session(self, sql: str) -> None:
        """SQL has told the session something."""
        if _ISOLATION.search(sql):
            self.is_isolation_chosen = True
            self.is_isolated = not _READ_COMMITTED.search(sql)
        if _PLACE.search(sql):
            self.is_elsewhere = True


#: Beyond so many rows of a transaction their whole models are locked.
_MOST_PENDING = 10_000
_ISOLATION = re.compile(r"isolation|snapshot", re.IGNORECASE)
_READ_COMMITTED = re.compile(r"read\s+committed", re.IGNORECASE)
_PLACE = re.compile(r"\b(?:search_path|schema|role|authorization|use|(?:reset|discard)\s+all)\b", re.IGNORECASE)


def fences_of(connection: BaseDatabaseWrapper) -> Fences:
    """The fences of a connection, which belongs to one thread."""
    fences: Fences | None = getattr(connection, "repository_fences", None)
    if fences is None:
        fences = connection.repository_fences = Fences()  # type: ignore[attr-defined]
    return fences


def fence_rows(alias: str, model: type[Model], keys: Iterable[Any]) -> None:
    """Rows of ``model`` with these primary keys are about to change; call before the statement is sent.

    Where a cached model shares the table under another key, or a key says nothing, all of its rows are fenced.
    """
    connection = connections[alias]
    try:
        keys = [typed_key(model, key) for key in keys if key is not None]
    except ValueError:
        fence_model(alias, model)
        return
    for cached in cached_by(model):
        if cached.same_key:
            names = [generation_key(cached.model, key, connection) for key in keys]
        else:
            names = [epoch_key(cached.model, connection)]
        _fence(connection, cached, names)


def fence_model(alias: str, model: type[Model]) -> None:
    """Rows of ``model`` are about to change, and nobody knows which."""
    connection = connections[alias]
    for cached in cached_by(model):
        _fence(connection, cached, [epoch_key(cached.model, connection)])


def clear_row(alias: str, model: type[Model], key: Any) -> None:
    """Lock a row at once, whether or not a transaction is open."""
    connection = connections[alias]
    for cached in cached_by(model):
        name = generation_key(cached.model, key, connection) if cached.same_key else epoch_key(cached.model, connection)
        _lock(cached, name)


def clear_model(alias: str, model: type[Model]) -> None:
    """Lock all rows of a model at once, whether or not a transaction is open."""
    for cached in cached_by(model):
        _lock(cached, epoch_key(cached.model, connections[alias]))


def _lock(cached: Cached, name: str) -> None:
    for cache, seconds in cached.locks.items():
        store(cache).lock({name: seconds})


@contextmanager
def announced(alias: str, model: type[Model]) -> Iterator[None]:
    """The statements inside change rows of ``model`` that are fenced."""
    counted, tables = fences_of(connections[alias]).announced, tables_of(model)
    counted.update(tables)
    try:
        yield
    finally:
        counted.subtract(tables)


def _fence(connection: BaseDatabaseWrapper, cached: Cached, names: Sequence[str]) -> None:
    fences = fences_of(connection)
    fences.has_written = True
    for cache, seconds in cached.locks.items():
        keys = dict.fromkeys(names, seconds)
        fences.add(cache, keys)
        if not (guard_of(connection).sees_everything and is_in_transaction(connection)):
            store(cache).lock(keys)


class _Listener:
    """Hears of every transaction while any model is cached."""

    def __init__(self) -> None:
        self._models: dict[str, list[type[Model]]] = {}
        self._inserts_count: set[str] = set()
        for cached in all_cached():
            for table in tables_of(cached.model):
                self._models.setdefault(table, []).append(cached.model)
                if cached.keeps_absence:
                    self._inserts_count.add(table)
        names = "|".join(map(re.escape, sorted(self._models, key=len, reverse=True)))
        self._mentioned = re.compile(rf"(?<!\w)({names})(?!\w)", re.IGNORECASE)

    def statement(self, connection: BaseDatabaseWrapper, sql: Any, kind: StatementKind) -> None:
        if kind == "read":
            return
        fences, text = fences_of(connection), text_of(sql)
        if kind == "write":
            fences.has_written = True
            for table in self._changed_by(text):
                if fences.announced[table] <= 0:
                    for model in self._models[table]:
                        fence_model(connection.alias, model)
        else:
            fences.note_session(text)

    def savepoint(self, connection: BaseDatabaseWrapper, sid: str, event: hooks.SavepointEvent) -> None:
        """What is rolled back to a savepoint was fenced in vain, or is written by the transaction around it, too."""

    def before_commit(self, connection: BaseDatabaseWrapper) -> None:
        fences_of(connection).lock()

    def finished(self, connection: BaseDatabaseWrapper, fate: hooks.Fate) -> None:
        fences = fences_of(connection)
        if fate in ("committed", "unknown"):
            fences.lock()
        fences.end()

    def _changed_by(self, sql: str) -> set[str]:
        """The cached tables in which a statement may change rows."""
        simple = _SIMPLE.match(sql)
        if simple is None or ";" in sql:
            if not sql or _OPAQUE.search(sql):
                return set(self._models)
            return {found.lower() for found in self._mentioned.findall(sql)}
        verb, target = simple.groups()
        table = target.strip('"`').lower()
        if verb[0] in "Ii" and table not in self._inserts_count and not _UPSERT.search(sql):
            return set()  # a row that was not there before is nowhere
        return {table} & self._models.keys()


# The form that Django gives to its statements, in which nothing but the first table changes.
_SIMPLE = re.compile(
    r'\s*(INSERT\s+INTO|DELETE\s+FROM|UPDATE(?=\s+\S+\s+SET\b))\s+(?!ONLY\b)("[^"]+"|`[^`]+`|\w+)(?=[\s(])(?!\s*,)',
    re.IGNORECASE,
)
# What changes tables without their names: what refers to a table, what a procedure or a prepared statement does.
_OPAQUE = re.compile(r"\bCASCADE\b|^\s*(?:CALL|DO|EXECUTE)\b", re.IGNORECASE)
_UPSERT = re.compile(r"\bON\s+(?:CONFLICT|DUPLICATE)\b", re.IGNORECASE)

_listener: _Listener | None = None


def start() -> None:
    """Listen to transactions if any model is cached. Called when the app is ready."""
    global _listener
    if _listener is not None:
        hooks.ignore(_listener)
        _listener = None
    if all_cached():
        _listener = _Listener()
        hooks.listen(_listener)
        post_migrate.connect(_migrated, dispatch_uid="enterprise_repo_caching")


def _migrated(*, app_config: Any, using: str, **kwargs: Any) -> None:
    """After ``migrate`` and ``flush``, whose SQL Django's own engines tell nobody of."""
    for model in app_config.get_models():
        clear_model(using, model)
