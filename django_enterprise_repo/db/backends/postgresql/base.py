"""The engine ``django_enterprise_repo.db.backends.postgresql``, through psycopg 3, with or without its pool."""

from __future__ import annotations

import time
from typing import Any, cast

from django.db import Error
from django.db.backends.postgresql import base
from psycopg.pq import TransactionStatus

from ....resilience.classification import Verdict
from ...guarded import GuardedDatabaseMixin
from .cursors import observe_cursors

#: Seconds for which a pool that has failed to connect is taken to fail still. It tries again by itself all the time.
_RECENTLY = 60.0


class DatabaseWrapper(GuardedDatabaseMixin, base.DatabaseWrapper):
    """Django's PostgreSQL, with connects, statements, fetches and commits seen by the guard.

    Cursors that are taken from psycopg's connection itself, COPY and ``stream()`` are seen as well.
    """

    #: When a connection of each pool was last found dead, on the clock of ``time.monotonic``.
    _drained: dict[str, float] = {}
    #: How often each pool has failed to connect, and when that number last grew.
    _connect_errors: dict[str, tuple[int, float]] = {}
    #: Pools that a forked child was born with and does not use.
    _pools_of_parents: list[Any] = []

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        connection = super().get_new_connection(conn_params)
        observe_cursors(connection, self)
        return connection

    def discard(self) -> None:
        """Close a dead connection. Of a pool, have the others that were made before this moment replaced, too.

        After a restart of the server all of them are dead, and to find that out one by one would take an attempt each.
        """
        pool = self.pool
        made_at = getattr(self.connection, "_created_at", float("inf"))
        super().discard()
        if pool is not None and made_at > self._drained.get(self.alias, float("-inf")):
            self._drained[self.alias] = time.monotonic()
            pool.drain()

    def _verdict(self, error: Error) -> Verdict:
        verdict = super()._verdict(error)
        if verdict.kind == "pool" and self.pool is not None and self._pool_fails_to_connect():
            return verdict._replace(kind="connection", vote="failure")
        return verdict

    def _pool_fails_to_connect(self) -> bool:
        """Whether the pool has nothing to give because the database lets it in no more.

        Its error is the same when all its connections are in use, which says nothing about the database.
        """
        errors = self.pool.get_stats().get("connections_errors", 0)
        before, _ = self._connect_errors.get(self.alias, (0, 0.0))
        if errors > before:
            self._connect_errors[self.alias] = errors, time.monotonic()
        _, latest = self._connect_errors.get(self.alias, (0, float("-inf")))
        return time.monotonic() - latest < _RECENTLY

    def disown(self) -> None:
        super().disown()
        # The threads that serve it are the parent's; it is kept from ending, which would wait for them.
        if (pool := cast("Any", self)._connection_pools.pop(self.alias, None)) is not None:
            self._pools_of_parents.append(pool)

    def is_in_transaction(self) -> bool:
        return super().is_in_transaction() or (
            self.connection is not None and self.connection.pgconn.transaction_status != TransactionStatus.IDLE
        )

    def _is_aborted(self) -> bool:
        return bool(self.connection.info.transaction_status.name == "INERROR")
