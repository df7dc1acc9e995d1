"""What is about to change, and the statement that changes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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


class Change(NamedTuple):
    """One change of one model on one database.

    Attributes:
        operation: what it belongs to; its id and moment mark everything the change writes.
        model: the model whose rows change, with all its tables when it inherits some.
        alias: the database alias.
        kind: ``"+"`` inserts, ``"~"`` updates (soft deletes among them), ``"-"`` deletes.
        rows: primary keys, or :attr:`Rows.UNKNOWN` where a statement chooses them.
        fields: names of the columns that change, ``None`` for all.
        entity: the instance in hand, when the change is the save of one.
        intent: why.
        marker: the soft-delete marker that a deletion or restoration sets.
        raw: the values are written as they come, by ``loaddata``.
    """

    operation: Operation
    model: type[Model]
    alias: str
    kind: Literal["+", "~", "-"]
    rows: tuple[Any, ...] | Rows = Rows.UNKNOWN
    fields: frozenset[str] | None = None
    entity: Model | None = None
    intent: Intent = Intent.SAVE
    marker: Marker | None = None
    raw: bool = False


class Statement(Protocol):
    """Something that changes rows when it is sent."""

    def send(self) -> Any: ...


S = TypeVar("S", bound=Statement)


class Update(NamedTuple):
    """An UPDATE that concerns may still narrow or extend before it is sent.

    Attributes:
        rows: the rows it reaches.
        values: what it assigns, expressions allowed.
        sender: sends it, given the final rows and values; answers what its caller needs.
        missed: called when it reached no row; they may raise.
        reached: called when it reached one or more.
    """

    rows: QuerySet[Any]
    values: Mapping[Field[Any, Any], Any]
    sender: Callable[[QuerySet[Any], Mapping[Field[Any, Any], Any]], Any]
    missed: tuple[Callable[[], None], ...] = ()
    reached: tuple[Callable[[], None], ...] = ()

    def where(self, *conditions: Q, **equals: Any) -> Update:
        return self._replace(rows=self.rows.filter(*conditions, **equals))

    def assign(self, values: Mapping[Field[Any, Any], Any]) -> Update:
        return self._replace(values={**self.values, **values})

    def on_miss(self, react: Callable[[], None]) -> Update:
        return self._replace(missed=(*self.missed, react))

    def on_reach(self, react: Callable[[], None]) -> Update:
        return self._replace(reached=(*self.reached, react))

    def send(self) -> Any:
        result = self.sender(self.rows, self.values)
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
