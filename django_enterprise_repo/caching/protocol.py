"""How rows in a cache stay true, on any cache that Django has: generations and locks.

A cached row carries the two tags that were there *before* the database was read: the epoch of its model and the
generation of its row. It is believed while both are still what they were. A writer puts a lock in the place of a tag
before its change can be seen, and again after COMMIT and before the write is acknowledged; locks are never taken off,
they expire. Tags are random: one that got lost comes back as another, so nothing that was read before is believed.

* A reader that is slow puts back a row with tags of the past, and nobody believes it.
* A writer that dies after COMMIT has left a lock, and when that expires the row's tag is a new one.
* A rollback needs nothing: the row was locked in vain.

``tests/unit/caching/protocol_model.py`` checks every interleaving of these steps, and that weaker protocols fail.
What remains: a cache that loses a lock (an eviction, a flush) while its writer is between the lock and the end of its
transaction may show readers the old row until the write is acknowledged, and if the writer dies there too, until the
row's time is up.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from .keys import RowKeys
from .store import LOCK, Store

_DAY = 24 * 3600
#: How long tags are kept. Of rows there are many; when the epoch goes, the whole model has to be read again.
GENERATION_SECONDS, EPOCH_SECONDS = _DAY, 21 * _DAY
#: How long a lock lasts that takes the place of what is neither a tag nor a lock.
_GARBAGE_SECONDS = 60
_TAG_BYTES = 16


class Found(NamedTuple):
    """What a look into the cache has come to.

    Attributes:
        state: ``"value"`` (something is there, and its model and row have tags), ``"empty"`` (nothing is there),
            ``"locked"`` (somebody writes, or has just written) or ``"down"``.
        tags: the tags that a row read from the database after this moment has to carry.
        value: what is there; it counts only if it carries the same.
    """

    state: Literal["value", "empty", "locked", "down"]
    tags: bytes = b""
    value: Any = None


_LOCKED, _DOWN = Found("locked"), Found("down")


def look_up(store: Store, keys: RowKeys) -> Found:
    """Look for a row and its tags; tags that are missing are made."""
    answer = store.read(keys)
    if answer is None:
        return _DOWN
    epoch, generation = answer.get(keys.epoch), answer.get(keys.generation)
    if _is_tag(epoch) and _is_tag(generation):
        return _found(epoch, generation, answer.get(keys.value))
    (found,) = _with_tags(store, [keys], answer)
    return found


def look_up_many(store: Store, rows: Sequence[RowKeys]) -> list[Found]:
    """:func:`look_up` for rows of one model, in one round trip and one more for each tag that is missing."""
    answer = store.read({key for keys in rows for key in keys})
    if answer is None:
        return [_DOWN] * len(rows)
    return _with_tags(store, rows, answer)


def _with_tags(store: Store, rows: Sequence[RowKeys], answer: Mapping[str, Any]) -> list[Found]:
    name = rows[0].epoch
    epoch = _made(store, {name}, answer, EPOCH_SECONDS)[name]
    if not _is_tag(epoch):
        return [_LOCKED] * len(rows)
    generations = _made(store, {keys.generation for keys in rows}, answer, GENERATION_SECONDS)
    return [_found(epoch, generations[keys.generation], answer.get(keys.value)) for keys in rows]


def _made(store: Store, keys: set[str], answer: Mapping[str, Any], seconds: int) -> dict[str, Any]:
    """What is under ``keys``, of which those that are not in ``answer`` get a tag of their own.

    Whoever was faster has made it, or has locked it since; of a cache that keeps nothing none comes back. What is no
    tag, and might stay for ever, is replaced by a lock and never by a tag: a writer may have locked it since.
    """
    garbage = [key for key in keys if not (_is_tag(found := answer.get(key)) or found is None or found == LOCK)]
    if garbage:
        store.lock(dict.fromkeys(garbage, _GARBAGE_SECONDS))
    missing = {key: os.urandom(_TAG_BYTES) for key in keys if answer.get(key) is None}
    made = store.add(missing, seconds) if missing else None
    return {**{key: answer.get(key) for key in keys}, **(made or {})}


def _found(epoch: Any, generation: Any, value: Any) -> Found:
    if not _is_tag(generation):
        return _LOCKED
    return Found("empty" if value is None else "value", epoch + generation, value)


def _is_tag(value: Any) -> bool:
    return isinstance(value, bytes) and len(value) == _TAG_BYTES
