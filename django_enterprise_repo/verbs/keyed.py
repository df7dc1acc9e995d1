"""The verbs that read rows by their primary key: from an identity map or a cache where there is one."""

from __future__ import annotations

import builtins
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast, overload
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import connections
from django.db.models import CompositePrimaryKey, IntegerField, Q

from ..caching.identity import current_map
from ..exceptions import InvalidArgument, InvalidArgumentType
from ..operations import NOTHING, Attempt, run
from ..types import Load, T
from .reads import Reads, require_deadline

if TYPE_CHECKING:
    from ..caching.compiled import KeyedRead
    from ..caching.reads import CachedRead, Door
    from ..policies import CachePolicy


class KeyVerbs(Reads[T]):
    """get and its kin."""

    @overload
    def get(
        self,
        pk: Any,
        /,
        *,
        for_update: bool = ...,
        nowait: bool = ...,
        skip_locked: bool = ...,
        include_deleted: bool = ...,
        load: Load = ...,
        using: str | None = ...,
        deadline: float | None = ...,
        fresh: bool = ...,
    ) -> T: ...
    @overload
    def get(self, *args: Any, **kwargs: Any) -> T: ...
    def get(self, *args: Any, **kwargs: Any) -> T:
        """The row with this primary key; called with conditions it is Django's own ``get``.

        Args:
            for_update: lock the row until the surrounding transaction ends.
            nowait: with ``for_update``, fail at once when somebody else holds the lock.
            skip_locked: with ``for_update``, look past a row that somebody else holds.
            include_deleted: find a soft-deleted row too.
            load: relations to load with it.
            deadline: seconds that this may take, further attempts included.
            fresh: read the database, whatever a cache or an identity map has.

        Raises:
            Model.DoesNotExist: there is no such row among these.
            TransactionManagementError: ``for_update`` outside a transaction.
        """
        if len(args) + len(kwargs) == 1:
            key = args[0] if args else kwargs.get("pk")
            read = self._keyed_read(self._read_alias(None))
            if read is not None and type(key) is read.key_type:  # so it is a key, and needs no look
                return cast("T", self._read_one("get", read, key))
        if _is_key(args):
            return cast("T", self._find("get", *args, **kwargs))
        if not args and "pk" in kwargs and self._options_of(kwargs):
            return cast("T", self._find("get", kwargs.pop("pk"), **kwargs))
        return cast("T", cast("Any", super()).get(*args, **kwargs))

    def get_or_none(self, pk: Any, /, **options: Any) -> T | None:
        """As :meth:`get`, with ``None`` where there is no such row."""
        return self._find("get_or_none", pk, **options)

    def get_many(
        self,
        pks: Iterable[Any],
        /,
        *,
        include_deleted: bool = False,
        load: Load = (),
        using: str | None = None,
        deadline: float | None = None,
        fresh: bool = False,
    ) -> dict[Any, T]:
        """The rows with these primary keys, by key and in the order asked for; missing ones are left out.

        Of a cached model those that the cache has are answered by it, and the others are read by one statement.
        """
        if isinstance(pks, str | bytes) or not isinstance(pks, Iterable):
            raise InvalidArgumentType(f"get_many() takes a sequence of keys, not {type(pks).__name__}.")
        keys = builtins.list(dict.fromkeys(primary_key(self.model, pk) for pk in pks))
        rows = self._selected(include_deleted=include_deleted, load=load, using=using)
        if self._cache_policy is not None and not (fresh or include_deleted or load):
            read = self._keyed_read(self._read_alias(using))
            door = None if read is None else self._door(read)
            if read is not None and door is not None and keys and door.opens_for(len(keys)):
                return self._get_many_cached(rows, read, {key: door.reading(key) for key in keys}, deadline)

        def body(attempt: Attempt) -> dict[Any, T]:
            found = rows.in_bulk(keys)
            return {key: found[key] for key in keys if key in found}

        return self._read("get_many", rows, using, body, deadline=deadline)

    def _get_many_cached(
        self, rows: Any, read: KeyedRead, reads: dict[Any, CachedRead], deadline: float | None
    ) -> dict[Any, T]:
        from ..caching.reads import look_up_all

        entities: dict[Any, Any] = {}

        def found() -> dict[Any, T]:
            return {key: entities[key] for key in reads if entities[key] is not None}

        def shortcut() -> Any:
            entities.update(zip(reads, look_up_all(builtins.list(reads.values())), strict=True))
            return NOTHING if NOTHING in entities.values() else found()

        def body(attempt: Attempt) -> dict[Any, T]:
            wanted = [key for key in reads if entities[key] is NOTHING]
            fetched = read.fetch_many(rows, wanted)
            for key in wanted:
                values = fetched.get(key)
                reads[key].fill(values)
                entities[key] = None if values is None else read.entity(values)
            return found()

        return self._read("get_many", rows, read.alias, body, deadline=deadline, shortcut=shortcut)

    def _find(
        self,
        name: str,
        pk: Any,
        /,
        *,
        for_update: bool = False,
        nowait: bool = False,
        skip_locked: bool = False,
        include_deleted: bool = False,
        load: Load = (),
        using: str | None = None,
        deadline: float | None = None,
        fresh: bool = False,
    ) -> T | None:
        read = None
        if not (for_update or include_deleted or load):
            read = self._keyed_read(self._read_alias(using))
        key = pk if read is not None and type(pk) is read.key_type else primary_key(self.model, pk)
        if (nowait or skip_locked) and not for_update:
            raise InvalidArgument("nowait= and skip_locked= say how to lock; they need for_update=True.")
        if read is not None:
            return self._read_one(name, read, key, deadline, fresh=fresh)
        rows = self._selected(include_deleted=include_deleted, load=load, using=using)
        if for_update:
            rows = rows.select_for_update(nowait=nowait, skip_locked=skip_locked, of=self._lockable(rows))

        def body(attempt: Attempt) -> T | None:
            try:
                return rows.get(Q(("pk", key)))
            except self.model.DoesNotExist:  # type: ignore[attr-defined]
                if name == "get":
                    raise
                return None

        return self._read(name, rows, using, body, for_update=for_update, deadline=deadline)

    def _read_one(
        self, name: str, read: KeyedRead, key: Any, deadline: float | None = None, *, fresh: bool = False
    ) -> T | None:
        identities = current_map()
        if identities is not None and not fresh:
            known = identities.get(read, key)
            if known is not None:
                return cast("T", known)
        door = None if fresh else self._door(read)
        cached = door.reading(key) if door is not None and door.opens_for(1) else None

        def shortcut() -> Any:
            found = NOTHING if cached is None else cached.look_up()
            return missing() if found is None else found

        def body(attempt: Attempt) -> Any:
            values = read.fetch(key)
            if cached is not None:
                cached.fill(values)
            return missing() if values is None else read.entity(values)

        def missing() -> None:
            if name == "get":
                raise self.model.DoesNotExist(f"{self.model._meta.object_name} matching query does not exist.")  # type: ignore[attr-defined]

        limit = None if deadline is None else require_deadline(deadline)
        spec = self._own_policies().reading(name, self.model, read.alias, None, limit)
        entity = run(spec, body, None if cached is None else shortcut, read.connection)
        if identities is not None and entity is not None:
            identities.put(read, key, entity)
        return cast("T | None", entity)

    @property
    def _cache_policy(self) -> CachePolicy | None:
        """How these rows are cached, where they are all that the model has."""
        return None

    def _door(self, read: KeyedRead) -> Door | None:
        """The way to the cache of these rows, if they are cached."""
        policy = self._cache_policy
        if policy is None:
            return None
        door: Door | None = read.door
        if door is None or not door.belongs_to(policy):
            from ..caching.reads import Door  # imports msgspec

            door = read.door = Door(policy, read, self._marker())
        return door

    def _lockable(self, rows: Any) -> tuple[str, ...]:
        """What a lock takes: the row, and not what is joined to it, which on PostgreSQL may be nullable."""
        can_choose = connections[self._write_alias(rows._db)].features.has_select_for_update_of
        if not can_choose or not rows.query.select_related:
            return ()
        links = (link for link in self.model._meta.parents.values() if link is not None)
        return ("self", *(link.name for link in links))

    def _options_of(self, kwargs: dict[str, Any]) -> bool:
        """Whether keywords of ``get(pk=…)`` are this verb's and not lookups of the model."""
        if len(kwargs) == 1:
            return False
        return kwargs.keys() - {"pk"} <= _GET_OPTIONS - {field.name for field in self.model._meta.get_fields()}


_GET_OPTIONS = frozenset(
    {"for_update", "nowait", "skip_locked", "include_deleted", "load", "using", "deadline", "fresh"}
)


#: Types of which no condition is.
_KEYS = frozenset({int, str, UUID})


def _is_key(args: tuple[Any, ...]) -> bool:
    """Whether ``get(*args)`` asks for a primary key: one argument that Django could not take as a condition."""
    if len(args) != 1:
        return False
    (value,) = args
    if type(value) in _KEYS:
        return True
    if isinstance(value, Q) or getattr(value, "conditional", False) or hasattr(value, "resolve_expression"):
        return False
    return not (isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str))


def primary_key(model: type[Any], value: Any) -> Any:
    """``value`` as the primary key's own type.

    Raises:
        InvalidArgument: it cannot be a key of this model.
    """
    if value is None or hasattr(value, "resolve_expression"):
        raise InvalidArgumentType(f"A primary key of {model._meta.label} cannot be {type(value).__name__}.")
    if hasattr(value, "_meta"):
        raise InvalidArgumentType(f"Expected a primary key of {model._meta.label}, not an instance.")
    pk = model._meta.pk
    fields = pk.fields if isinstance(pk, CompositePrimaryKey) else (pk,)
    values = value if isinstance(pk, CompositePrimaryKey) else (value,)
    if not isinstance(values, tuple | builtins.list) or len(values) != len(fields):
        raise InvalidArgument(f"A primary key of {model._meta.label} is a tuple of {len(fields)}.")
    try:
        key = tuple(_key_part(field, part) for field, part in zip(fields, values, strict=True))
    except (ValidationError, TypeError, ValueError):
        raise InvalidArgument(f"That is no primary key of {model._meta.label}.") from None
    return key if isinstance(pk, CompositePrimaryKey) else key[0]


def _key_part(field: Any, value: Any) -> Any:
    if isinstance(field, IntegerField) and isinstance(value, bool | float):
        raise TypeError("no number of a row")  # to_python would make 1 of 1.9
    return field.to_python(value)
