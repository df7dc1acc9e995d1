"""What an operation is: one call of a verb or one terminal of a queryset, from start to outcome."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from threading import get_ident
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol
from uuid import UUID

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model
from django.dispatch import Signal
from django.utils import timezone

from ..identifiers import uuid7
from ..policies import Project, RetryPolicy

#: Sent robustly after every outermost operation with ``operation``, an :class:`Operation`.
operation_finished = Signal()


class Observer(Protocol):
    """Hears of every outermost operation of the process. Its methods must neither raise nor take long."""

    def begun(self, operation: Operation) -> None: ...

    def finished(self, operation: Operation) -> None: ...


_observer: Observer | None = None
_NO_ROWS: Mapping[type[Model], int] = MappingProxyType({})


def observe_with(observer: Observer | None) -> None:
    """Let this one hear of operations from now on; ``None`` for nobody.

    There is one, the package's own. Sending a signal costs as much as all counting, and two would cost twice that.
    """
    global _observer
    _observer = observer


class OperationSpec(NamedTuple):
    """What is about to run.

    Attributes:
        name: the verb or queryset method.
        model: the model it works on.
        alias: the database alias it runs on.
        effect: ``"read"`` or ``"write"``.
        retry_safe: whether running the body twice is as good as running it once, asked when a first run has failed.
        deadline: seconds the whole operation may take; ``None`` leaves it to the caller's surroundings and the policy.
        retry: how often it is tried, ``None`` for once.
        guarded: whether it asks the circuit breaker of its database, and tells it how it went.
    """

    name: str
    model: type[Model]
    alias: str
    effect: Literal["read", "write"] = "read"
    retry_safe: bool | Callable[[], bool] = False
    deadline: float | None = None
    retry: RetryPolicy | Project | None = "project"
    guarded: bool = True


class Operation:
    """One outermost operation. Its id and moment are made when first asked for: most reads never do."""

    __slots__ = (
        "_id",
        "_moment",
        "attempts",
        "connection",
        "deleted_from",
        "duration",
        "error",
        "history_rows",
        "outer",
        "retried_for",
        "spec",
        "started",
        "tally",
        "thread",
    )

    def __init__(self, spec: OperationSpec, connection: BaseDatabaseWrapper, outer: Operation | None = None) -> None:
        self.spec = spec
        if _observer is not None:
            _observer.begun(self)
        self.connection = connection
        #: The operation on another connection that this one runs inside, if any.
        self.outer = outer
        self.thread = get_ident()
        self.error: BaseException | None = None
        #: Seconds from start to outcome; ``None`` while it runs.
        self.duration: float | None = None
        #: When it began, on the clock of ``time.perf_counter``.
        self.started = time.perf_counter()
        #: Models whose deletions it has on record.
        self.deleted_from: set[type[Model]] = set()
        #: What the write path counts for a ledger, if one is kept.
        self.tally: Any = None
        #: History rows that the write path wrote for it, by the model whose they are: replaced and never changed.
        self.history_rows = _NO_ROWS
        #: How often it was tried so far.
        self.attempts = 1
        #: The kinds of failure that were followed by another attempt, in their order.
        self.retried_for: tuple[str, ...] = ()
        self._id: UUID | None = None
        self._moment: datetime | None = None

    @property
    def id(self) -> UUID:
        """UUID version 7, the same for everything this operation changes."""
        if self._id is None:
            self._id = uuid7()
        return self._id

    @property
    def moment(self) -> datetime:
        """The one timestamp of everything this operation changes."""
        if self._moment is None:
            self._moment = timezone.now()
        return self._moment

    def begin_again(self) -> None:
        """One more attempt: what the last one counted was not applied, and the present is another moment."""
        self.attempts += 1
        self.deleted_from.clear()
        self.tally = None
        self.history_rows = _NO_ROWS
        self._moment = None

    def count_history(self, model: type[Model], rows: int) -> None:
        """So many more history rows of ``model`` were written."""
        self.history_rows = {**self.history_rows, model: self.history_rows.get(model, 0) + rows}

    def finish(self, error: BaseException | None) -> None:
        self.duration = time.perf_counter() - self.started
        self.error = error
        if _observer is not None:
            _observer.finished(self)
        if operation_finished.receivers:
            operation_finished.send_robust(sender=self.spec.model, operation=self)


class Attempt:
    """One try of an operation's body; what it changed in memory is undone when the try fails."""

    __slots__ = ("_undo", "number", "operation")

    def __init__(self, operation: Operation, number: int = 1) -> None:
        self.operation = operation
        self.number = number
        self._undo: list[Callable[[], None]] = []

    def remember(self, *entities: Model) -> None:
        """Put the entities' attributes back as they are now if this attempt fails."""
        self._undo.extend(partial(_put_back, *_snapshot(entity)) for entity in entities)

    def on_failure(self, undo: Callable[[], None]) -> None:
        self._undo.append(undo)

    def fail(self) -> None:
        while self._undo:
            self._undo.pop()()


def _snapshot(entity: Model) -> tuple[Model, dict[str, Any], bool, str | None, dict[str, Any]]:
    state = entity._state
    return entity, dict(entity.__dict__), state.adding, state.db, dict(state.fields_cache)


def _put_back(
    entity: Model, attributes: dict[str, Any], adding: bool, alias: str | None, fields_cache: dict[str, Any]
) -> None:
    entity.__dict__.clear()
    entity.__dict__.update(attributes)
    entity._state.adding, entity._state.db, entity._state.fields_cache = adding, alias, fields_cache


def describe(operation: Operation) -> dict[str, Any]:
    """The operation in plain values, for logs and tests."""
    return {
        "operation": operation.spec.name,
        "model": operation.spec.model._meta.label,
        "alias": operation.spec.alias,
        "effect": operation.spec.effect,
        "outcome": "ok" if operation.error is None else type(operation.error).__name__,
        "attempts": operation.attempts,
        "seconds": operation.duration,
    }
