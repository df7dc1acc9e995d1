"""The database wrapper that an engine of this package is: it sees connects, statements, fetches and commits.

:class:`GuardedDatabaseMixin` goes before any ``DatabaseWrapper``, Django's or another package's::

    class DatabaseWrapper(GuardedDatabaseMixin, django_prometheus.db.backends.postgresql.base.DatabaseWrapper):
        pass

What starts at a repository is guarded by its operation. What Django sends on its own behalf (a session, the admin's
user, a foreign key that is followed, ``raw()``) is guarded here: it is refused while the circuit is open, its
failures count, and a dead connection is dropped. Nothing here refuses or repeats anything inside a transaction.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar, cast

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import DatabaseErrorWrapper
from django.utils.functional import cached_property

from ..resilience.breakers import breaker
from ..resilience.classification import Verdict, classify
from ..resilience.decisions import tell
from ..resilience.guards import ConnectionGuard, is_in_transaction, record_verdict, recorded_verdict
from ..resilience.statements import may_commit, statement_kind
from ..resilience.translation import translate
from . import forking, hooks
from .connecting import connect_within
from .cursors import guarded
from .observing import observed

R = TypeVar("R")

logger = logging.getLogger("django_enterprise_repo.retry")


class RecordingErrorWrapper(DatabaseErrorWrapper):
    """Django's translation of driver errors, the one place that every error passes: fetches and commits, too."""

    wrapper: Any

    def __exit__(self, exc_type: object, exc_value: object, traceback: object) -> None:
        if exc_type is None:
            return
        try:
            super().__exit__(exc_type, exc_value, traceback)  # type: ignore[arg-type]
        except Error as error:
            self.wrapper.record(error)
            raise


class EngineGuard(ConnectionGuard):
    """The guard of a connection whose engine tells it everything."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(sees_everything=True)

    def discard(self, connection: BaseDatabaseWrapper) -> None:
        cast("Any", connection).discard()


class GuardedDatabaseMixin:
    """Put before a ``DatabaseWrapper``."""

    # What Django's DatabaseWrapper brings and this mixin uses.
    alias: str
    connection: Any
    autocommit: bool
    in_atomic_block: bool
    closed_in_transaction: bool
    needs_rollback: bool
    settings_dict: dict[str, Any]
    Database: Any
    close: Callable[[], None]
    is_usable: Callable[[], bool]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.repository_guard = EngineGuard()
        #: The end of the present transaction was told already: what follows it is cleaning up.
        self._end_is_told = False
        forking.after_fork(self)

    # Statements.

    def make_cursor(self, cursor: Any) -> Any:
        return self._guarded(super().make_cursor(cursor))  # type: ignore[misc]

    def make_debug_cursor(self, cursor: Any) -> Any:
        return self._guarded(super().make_debug_cursor(cursor))  # type: ignore[misc]

    def _guarded(self, wrapper: Any) -> Any:
        return guarded(cast("Any", type(wrapper)))(wrapper.cursor, self)

    def send(self, sql: Any, execute: Callable[[], R], cursor: Any) -> R:
        """Send one statement through ``cursor``; called by the cursor wrappers.

        Raises:
            CircuitOpenError: outside a transaction, when the database has failed too often lately.
        """
        guard = self.repository_guard
        guard.contacted = True
        if hooks.listeners and not getattr(cursor, "tells_hooks", False):
            execute = partial(self._observed, sql, execute)
        if guard.voters:
            return self._noting_commits(sql, execute) if guard.writes else execute()
        return self._voting(execute, admitted=not self.is_in_transaction())

    def _observed(self, sql: Any, execute: Callable[[], R]) -> R:
        kind = statement_kind(sql)
        if kind == "read":  # which changes nothing that anybody would have to hear of afterwards
            hooks.tell_statement(cast("Any", self), sql, kind)
            return execute()
        with observed(cast("Any", self), sql, in_transaction=self.is_in_transaction()):
            return execute()

    def _noting_commits(self, sql: Any, execute: Callable[[], R]) -> R:
        """Send a statement and note when that made something permanent, so that nobody makes it again."""
        guard, was_in_transaction = self.repository_guard, self.is_in_transaction()
        guard.committed = guard.committed or may_commit(sql)  # also when it fails: what failed may have come after
        answer = execute()
        if statement_kind(sql) == "write" and not was_in_transaction:
            guard.committed = True
        return answer

    def is_in_transaction(self) -> bool:
        """Whether a transaction is open, one that was begun by SQL included where the driver tells."""
        return is_in_transaction(cast("Any", self))

    # The breaker, for what no operation answers for.

    def _voting(self, call: Callable[[], R], *, admitted: bool) -> R:
        """Make ``call`` and tell the breaker how it went, asking it first where ``admitted``."""
        circuit: Any = breaker(self.alias)
        permit = circuit.admit() if admitted else None
        guard = self.repository_guard
        guard.voters += 1
        started = time.perf_counter()
        vote: Any = "void"
        try:
            answer = call()
            vote = "success"
        except BaseException as failure:
            verdict = recorded_verdict(failure) or classify(failure, guard.phase)
            vote = verdict.vote
            if verdict.drop and not is_in_transaction(cast("Any", self)):
                self.discard()
                tell(logger, "connection_dropped", alias=self.alias, error_kind=verdict.kind)
            raise
        finally:
            guard.voters -= 1
            seconds = time.perf_counter() - started
            if permit is None:
                circuit.observe(vote, seconds)
            else:
                circuit.settle(permit, vote, seconds)
        return answer

    def record(self, error: Error) -> None:
        """Keep with ``error`` what it means here and now; whoever handles it may not be able to tell any more."""
        guard = self.repository_guard
        verdict = self._verdict(error)
        if (
            verdict.fate == "unknown"
            and guard.phase not in ("commit", "connect")
            and is_in_transaction(cast("Any", self))
        ):
            verdict = verdict._replace(fate="not_applied")  # COMMIT was never sent, and now never will be
        record_verdict(error, verdict, self.alias)
        if not guard.voters:
            cast("Any", breaker(self.alias)).observe(verdict.vote, 0.0)

    def _verdict(self, error: Error) -> Verdict:
        return classify(error, self.repository_guard.phase)

    @cached_property
    def wrap_database_errors(self) -> RecordingErrorWrapper:
        return RecordingErrorWrapper(cast("Any", self))

    # Connections.

    def ensure_connection(self) -> None:
        """Connect if there is no connection.

        Raises:
            CircuitOpenError: the database has failed too often lately.
        """
        if self.connection is not None or (self.in_atomic_block and self.closed_in_transaction):
            super().ensure_connection()  # type: ignore[misc]
            return
        guard = self.repository_guard
        guard.contacted = True
        before, guard.phase = guard.phase, "connect"
        connect: Callable[[], None] = super().ensure_connection  # type: ignore[misc]
        try:
            connect() if guard.voters else self._voting(connect, admitted=True)
        finally:
            guard.phase = before
        if guard.watch is not None:
            guard.watch.attach(cast("Any", self))

    def connect(self) -> None:
        self._end_is_told = False
        super().connect()  # type: ignore[misc]

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        connect = partial(super().get_new_connection, conn_params)  # type: ignore[misc]
        watch = self.repository_guard.watch
        if watch is None:
            return connect()
        return connect_within(watch, connect, self.Database.OperationalError)

    def discard(self) -> None:
        """Close a connection that is of no use any more, so that the next statement opens another."""
        with suppress(Error):  # some drivers refuse to close what is closed already
            self.close()

    def disown(self) -> None:
        """Begin without a connection in a forked child. A transaction that was open is the parent's to end."""
        if self.connection is None:
            return
        with suppress(self.Database.Error):  # one that is closed already has no socket
            forking.detach_socket(self.connection.fileno())
        self.connection = None
        self.repository_guard = EngineGuard()
        if self.in_atomic_block:
            self.closed_in_transaction = self.needs_rollback = True

    def _close(self) -> None:
        if self.repository_guard.watch is not None:
            self.repository_guard.watch.detach()
        try:
            super()._close()  # type: ignore[misc]
        finally:
            self._tell_end("closed")

    # Transactions.

    def set_autocommit(self, autocommit: bool, *args: Any, **kwargs: Any) -> None:
        if autocommit and self.connection is None and self.settings_dict["AUTOCOMMIT"]:
            # The end of a block whose connection is gone. To connect here would hide its failure behind another one;
            # the next statement connects, and in autocommit.
            return
        guard = self.repository_guard
        if not autocommit and not guard.voters and self.connection is not None:
            self._probe()
        before, guard.phase = guard.phase, guard.phase if autocommit else "begin"
        try:
            super().set_autocommit(autocommit, *args, **kwargs)  # type: ignore[misc]
        except Error as error:
            verdict = recorded_verdict(error)
            if verdict is not None and verdict.drop and not self.in_atomic_block:
                self.discard()  # out of autocommit for good, it would pass for a transaction that nobody may touch
            raise
        finally:
            guard.phase = before

    def _probe(self) -> None:
        """Before a transaction begins that nothing may refuse later: ask the breaker, and if it doubts, the database.

        Raises:
            CircuitOpenError: the database has failed too often lately.
        """
        circuit: Any = breaker(self.alias)
        if circuit.is_closed:
            return
        permit, started, vote = circuit.admit(), time.perf_counter(), "void"
        try:
            if self.is_usable():
                vote = "success"
            else:
                self.discard()  # it may have died long ago: whoever connects next tells how that went
        finally:
            circuit.settle(permit, vote, time.perf_counter() - started)

    def _commit(self) -> None:
        guard = self.repository_guard
        if self.connection is None:
            return
        if hooks.listeners:
            hooks.tell_before_commit(cast("Any", self))
        is_lost_cause = self._is_aborted()
        before, guard.phase = guard.phase, "commit"
        try:
            super()._commit()  # type: ignore[misc]
        except Error as error:
            verdict = recorded_verdict(error) or classify(error, "commit")
            self._tell_end("unknown" if verdict.fate == "unknown" else "rolled_back")
            raise self._described(error, verdict) from (error.__cause__ or error)
        finally:
            guard.phase = before
        guard.committed = not is_lost_cause or guard.committed
        self._tell_end("rolled_back" if is_lost_cause else "committed")
        self._end_is_told = False

    def _described(self, error: Error, verdict: Verdict) -> Exception:
        if verdict.fate == "unknown":
            verdict = verdict._replace(kind="commit_unknown", transient=False)
        described = translate(error, verdict, model=None, alias=self.alias)
        record_verdict(described, verdict, self.alias)
        return described

    def _is_aborted(self) -> bool:
        """Whether COMMIT would be answered by a rollback, without an error."""
        return False

    def _rollback(self) -> None:
        try:
            super()._rollback()  # type: ignore[misc]
        finally:
            self._tell_end("rolled_back")
            self._end_is_told = False

    def _tell_end(self, fate: hooks.Fate) -> None:
        if not self._end_is_told and hooks.listeners:
            hooks.tell_finished(cast("Any", self), fate)
        self._end_is_told = fate != "closed"

    def _savepoint(self, sid: str) -> None:
        super()._savepoint(sid)  # type: ignore[misc]
        hooks.tell_savepoint(cast("Any", self), sid, "opened")

    def _savepoint_commit(self, sid: str) -> None:
        super()._savepoint_commit(sid)  # type: ignore[misc]
        hooks.tell_savepoint(cast("Any", self), sid, "released")

    def _savepoint_rollback(self, sid: str) -> None:
        super()._savepoint_rollback(sid)  # type: ignore[misc]
        hooks.tell_savepoint(cast("Any", self), sid, "rolled_back")
