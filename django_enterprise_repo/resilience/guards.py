"""What is known of one connection while somebody uses it, shared by the operation scope and the engines."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper

from .deadlines import Watch
from .decisions import tell

if TYPE_CHECKING:
    from .classification import Phase, Verdict

logger = logging.getLogger("django_enterprise_repo.retry")

#: What a guard knew before an attempt began: contacted, committed, writes, watch.
Surroundings = tuple[bool, bool, bool, "Watch | None"]


class ConnectionGuard:
    """The state of one ``DatabaseWrapper``, which belongs to one thread.

    Attributes:
        voters: how many callers up the stack tell the breaker how their attempt went; below them nobody else does.
        phase: what the connection is doing, for who has to say what a failure means.
        contacted: something was sent to the database since the attempt began.
        committed: something was committed since the attempt began, so that it must not be made again.
        watch: the deadline that the present attempt has, if any.
        writes: the attempt may change something, so that what it commits has to be noted.
        sees_everything: an engine of this package keeps ``contacted`` and ``committed``.
    """

    __slots__ = ("committed", "contacted", "phase", "sees_everything", "voters", "watch", "writes")

    def __init__(self, *, sees_everything: bool = False) -> None:
        self.voters = 0
        self.phase: Phase = "statement"
        self.contacted = False
        self.committed = False
        self.watch: Watch | None = None
        self.writes = False
        self.sees_everything = sees_everything

    def begin_attempt(self, *, writes: bool) -> Surroundings:
        """Somebody begins something that the breaker hears of as a whole; answers what :meth:`end_attempt` takes."""
        before = (self.contacted, self.committed, self.writes, self.watch)
        self.voters += 1
        self.writes = writes
        self.contacted, self.committed = not self.sees_everything, False
        return before

    def end_attempt(self, before: Surroundings) -> None:
        """It is over; an attempt around it has done what it has done."""
        self.voters -= 1
        contacted, committed, self.writes, self.watch = before
        self.contacted = self.contacted or contacted
        self.committed = self.committed or committed
        self.phase = "statement"

    def refresh(self, connection: BaseDatabaseWrapper) -> None:
        """Before a probe: discard a connection that died in the outage, which says nothing of the database now."""
        if connection.connection is not None and not connection.is_usable():
            self.discard(connection)
            tell(logger, "connection_dropped", alias=connection.alias)

    def discard(self, connection: BaseDatabaseWrapper) -> None:
        """Close a connection that is of no use any more, so that the next statement opens another."""
        with suppress(Error):  # some drivers refuse to close what is closed already
            connection.close()


def guard_of(connection: BaseDatabaseWrapper) -> ConnectionGuard:
    """The guard of ``connection``; one of Django's own engines gets it at first use."""
    guard: ConnectionGuard | None = getattr(connection, "repository_guard", None)
    if guard is None:
        guard = cast("Any", connection).repository_guard = ConnectionGuard()
    return guard


def is_in_transaction(connection: BaseDatabaseWrapper) -> bool:
    """Whether somebody's transaction is open on ``connection``, ``TestCase``'s included."""
    return connection.in_atomic_block or (connection.connection is not None and not connection.autocommit)


def is_opened_by_test(connection: BaseDatabaseWrapper) -> bool:
    """Whether the innermost transaction on ``connection`` is one that Django's ``TestCase`` has opened."""
    blocks = cast("Any", connection).atomic_blocks
    return bool(blocks) and blocks[-1]._from_testcase


def record_verdict(error: BaseException, verdict: Verdict, alias: str) -> None:
    """Keep with ``error`` what an engine of ours makes of it, and whose it is."""
    recorded: Any = error
    recorded.repository_verdict, recorded.repository_alias = verdict, alias


def recorded_alias(error: BaseException) -> str | None:
    """The database that ``error`` came from, where an engine of ours saw it happen."""
    alias: str | None = getattr(error, "repository_alias", None)
    return alias


def recorded_verdict(error: BaseException) -> Verdict | None:
    """What an engine of ours has made of ``error`` when it saw it happen."""
    verdict: Verdict | None = getattr(error, "repository_verdict", None)
    return verdict
