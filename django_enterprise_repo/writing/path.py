"""The one function through which every change goes, and the concerns that travel with it."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from django.db.models import Model

from ..caching.identity import current_map
from ..db import hooks
from .audits import Audit
from .caches import Caches
from .change import Change, Concern, S
from .operation_ledger import Ledger
from .soft_deletes import SoftDeletes
from .versions import Versions

# The order is fixed: a version conflict is told before anything else looks at the row, and the history is
# written of what all the others have made of it. The ledger asks for its transaction before the history does. The
# cache comes last, so that it is around whatever is sent.
_CONCERNS: tuple[Concern, ...] = (Versions(), SoftDeletes(), Ledger(), Audit(), Caches())
_by_model: WeakKeyDictionary[type[Model], tuple[Concern, ...]] = WeakKeyDictionary()


def concerns_of(model: type[Model]) -> tuple[Concern, ...]:
    """The concerns that apply to ``model``, in their fixed order."""
    concerns = _by_model.get(model)
    if concerns is None:
        concerns = _by_model[model] = tuple(concern for concern in _CONCERNS if concern.applies_to(model))
    return concerns


def execute(change: Change, statement: S) -> Any:
    """Make ``change`` by sending ``statement``, with every concern of the model around it.

    The caller has opened a transaction where more than one statement is needed.
    """
    prepare(change)
    outcome = fold(change, statement).send()
    applied(change, outcome)
    return outcome


# The save of one entity sends several statements, one a table, and Django decides between them whether it
# inserts or updates. It therefore takes the three steps of ``execute`` one by one.


def prepare(change: Change) -> None:
    """First step: before anything is sent."""
    identities = current_map()
    if identities is not None:
        identities.empty(change.alias)
    for concern in concerns_of(change.model):
        concern.prepare(change)


def fold(change: Change, statement: S) -> S:
    """Second step, once per table: let every concern join the statement."""
    for concern in concerns_of(change.model):
        statement = concern.fold(change, statement)
    return statement


def applied(change: Change, outcome: Any) -> None:
    """Last step: the rows are written, nobody has been told yet."""
    for concern in concerns_of(change.model):
        concern.applied(change, outcome)
    hooks.watch(change.alias)
