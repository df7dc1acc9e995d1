"""What is about to change, and the statement that changes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

from django.db.models import Field, Model, Q, QuerySet

from ..operations import Operation
from ..soft_delete.markers import Marker


class Intent(Enum):
    """Why rows change. Deleting and restoring are updates where a model is soft-deleted."""

    SAVE = "save"
    DELETE = "delete"
    RESTORE = "restore"


class Rows(Enum):
    """Rows that cannot be listed by their keys."""

    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of one model on one database.

    Attributes:
        operation: what it belongs to; its id and moment mark everything the change writes.
        model: the model whose rows change, with all its tables when it inherits some.
        alias: the database alias.
        kind: ``"+"`` inserts, ``"~"`` updates (soft deletes among them), ``"-"`` deletes.
        rows: primary keys, or :attr:`Rows.UNKNOWN` where a statement chooses them.
        sets: for a deletion, querysets of further rows that nobody has looked at.
        fields: names of the columns that change, ``None`` for all.
        entity: the instance in hand, when the change is the save of one.
        intent: why.
        marker: the soft-delete marker that a deletion or restoration sets.
        overwrites: an insert may change rows that are there already.
        raw: the values are written as they come, by ``loaddata``.
        begin: opens a transaction that lasts to the end of the change, for who needs a second statement after all.
        memo: what a concern keeps between its three steps, by the concern.
    """

    operation: Operation
    model: type[Model]
    alias: str
    kind: Literal["+", "~", "-"]
    rows: tuple[Any, ...] | Rows = Rows.UNKNOWN
    sets: tuple[QuerySet[Any], ...] = ()
    fields: frozenset[str] | None = None
    entity: Model | None = None
    intent: Intent = Intent.SAVE
    marker: Marker | None = None
    overwrites: bool = False
    raw: bool = False
    begin: Callable[[], Any] | None = None
    memo: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)


class Statement(Protocol):
    """Something that changes rows when it is sent."""

    def send(self) -> Any: ...


S = TypeVar("S", bound=Statement)


class Update(NamedTuple):
    """An UPDATE that concerns may still narrow or extend before it is sent.

    Attributes:
        rows: the rows it reaches, before it was narrowed.
        values: what it assigns, expressions allowed.
        sender: sends it and answers what its caller needs.
        equals: what the rows must also be equal to, by attribute name.
        conditions: further conditions on the rows.
        missed: called when it reached no row; they may raise.
        reached: called when it reached one or more.
        returns_columns: whether the caller needs columns of the updated row back.
        pk: key of the one row that the save of an entity updates.
    """

    rows: QuerySet[Any]
    values: Mapping[Field[Any, Any], Any]
    sender: Callable[[Update], Any]
    equals: Mapping[str, Any] = {}
    conditions: tuple[Q, ...] = ()
    missed: tuple[Callable[[], None], ...] = ()
    reached: tuple[Callable[[], None], ...] = ()
    returns_columns: bool = False
    pk: Any = None

    def where(self, *conditions: Q, **equals: Any) -> Update:
        return self._replace(conditions=(*self.conditions, *conditions), equals={**self.equals, **equals})

    def assign(self, values: Mapping[Field[Any, Any], Any]) -> Update:
        return self._replace(values={**self.values, **values})

    def on_miss(self, react: Callable[[], None]) -> Update:
        return self._replace(missed=(*self.missed, react))

    def on_reach(self, react: Callable[[], None]) -> Update:
        return self._replace(reached=(*self.reached, react))

    def sent_by(self, sender: Callable[[Update], Any]) -> Update:
        return self._replace(sender=sender)

    def narrowed(self) -> QuerySet[Any]:
        """The rows that it reaches."""
        return self.rows.filter(*self.conditions, **self.equals) if self.conditions or self.equals else self.rows

    def send(self) -> Any:
        result = self.sender(self)
        for react in self.reached if result else self.missed:
            react()
        return result


class Call(NamedTuple):
    """A statement that is Django's own business: an insert, a bulk insert, a collector's deletes."""

    sender: Callable[[], Any]

    def send(self) -> Any:
        return self.sender()


class Concern(Protocol):
    """Something that must hold for every change of the models it applies to."""

    def applies_to(self, model: type[Model]) -> bool:
        """Whether changes of ``model`` concern it at all; asked once per model."""

    def prepare(self, change: Change) -> None:
        """Before anything is sent, inside the transaction where there is one."""

    def fold(self, change: Change, statement: S) -> S:
        """May join the statement: narrow its rows, assign more columns."""

    def applied(self, change: Change, outcome: Any) -> None:
        """After the statement and before any signal, inside the same transaction."""
