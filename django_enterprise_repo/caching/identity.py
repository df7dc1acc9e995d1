"""One object for one row, as long as a request or a block lasts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import get_ident
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from django.db import connections
from django.db.models import Model

from ..resilience.guards import is_in_transaction

if TYPE_CHECKING:
    from .compiled import KeyedRead


class IdentityMap:
    """The entities that were read by their key in one thread of a block.

    It holds them weakly: what nobody uses any more is read again. Any write of the block through the package empties
    it, and inside a transaction it then stays empty to the end, as nobody knows yet whether the write will last.
    """

    def __init__(self) -> None:
        self._entities: WeakValueDictionary[tuple[Any, ...], Model] = WeakValueDictionary()
        self._written: set[tuple[str, int]] = set()

    def get(self, read: KeyedRead, key: Any) -> Model | None:
        """The entity with this key, if it is here."""
        return self._entities.get((read, get_ident(), key))

    def put(self, read: KeyedRead, key: Any, entity: Model) -> None:
        """Remember an entity that was just read."""
        here = (read.alias, get_ident())
        if here in self._written:
            if is_in_transaction(connections[read.alias]):
                return
            self._written.discard(here)
        self._entities[read, here[1], key] = entity

    def empty(self, alias: str) -> None:
        """Something is being written on ``alias``."""
        self._entities.clear()
        if is_in_transaction(connections[alias]):
            self._written.add((alias, get_ident()))


_current: ContextVar[IdentityMap | None] = ContextVar("repository_identity_map", default=None)


@contextmanager
def identity_map() -> Iterator[IdentityMap]:
    """Within this block, ``get(pk)`` of a row that is still in use answers the object that was read before.

    That object is as old as its read: what others write meanwhile is not seen before the block ends. ``fresh=True``
    reads anew. A block inside a block has a map of its own.
    """
    token = _current.set(IdentityMap())
    try:
        identities = _current.get()
        assert identities is not None
        yield identities
    finally:
        _current.reset(token)


def current_map() -> IdentityMap | None:
    """The identity map of the block that runs here, if any."""
    return _current.get()
