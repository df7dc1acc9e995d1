"""What the write path knows about an entity while the entity's own ``save()`` runs.

Verbs go through the model's ``save()`` so that overridden methods run. What they know (that this save is a
deletion, that a transaction is already open) cannot travel through Django's signature; it waits on the
entity's ``_state`` and ends with the block.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

from django.db.models import Model

from ..soft_delete.markers import Marker
from .change import Change, Intent


class Pending(NamedTuple):
    """Told by a verb to the next save of the entity.

    Attributes:
        intent: why the entity is saved.
        marker: the soft-delete marker that a deletion or restoration sets.
        savepoint: whether the save, where it takes several statements, may need a savepoint of its own; not where
            the verb has opened a transaction already.
    """

    intent: Intent = Intent.SAVE
    marker: Marker | None = None
    savepoint: bool = True


class _Transient:
    """What waits on an entity's state while it is saved; a copy of the entity, made meanwhile, is free of it.

    A shallow copy shares the state, so the owner is kept too.
    """

    __slots__ = ("owner", "value")

    def __init__(self, owner: Model, value: Any) -> None:
        self.owner = owner
        self.value = value

    def __reduce__(self) -> tuple[Any, ...]:
        return type(None), ()


@contextmanager
def pending_save(entity: Model, pending: Pending) -> Iterator[None]:
    """Let ``pending`` wait for the save of ``entity`` inside the block."""
    state = cast("Any", entity._state)
    state.pending_save = _Transient(entity, pending)
    try:
        yield
    finally:
        state.pending_save = None


def take_pending(entity: Model) -> Pending | None:
    """What waits for this save, once: a save inside a signal receiver is a save of its own."""
    state = cast("Any", entity._state)
    waiting: _Transient | None = getattr(state, "pending_save", None)
    if waiting is None or waiting.owner is not entity:
        return None
    state.pending_save = None
    pending: Pending = waiting.value
    return pending


@contextmanager
def active_change(entity: Model, change: Change) -> Iterator[None]:
    """Let the tables that Django saves for ``entity`` find the change they belong to."""
    state = cast("Any", entity._state)
    outer = getattr(state, "active_change", None)
    state.active_change = _Transient(entity, change)
    try:
        yield
    finally:
        state.active_change = outer


def current_change(entity: Model) -> Change | None:
    """The change that the running save of ``entity`` belongs to, if any."""
    active: _Transient | None = getattr(entity._state, "active_change", None)
    return active.value if active is not None and active.owner is entity else None
