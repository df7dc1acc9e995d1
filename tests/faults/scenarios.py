"""The fault table: what is done to a database, and what has to become of the calls that are under way.

Every row that waits for nothing has tests for each of its databases, marked ``scenario(number, databases=…)``;
``test_table`` sees to that.
"""

from __future__ import annotations

from dataclasses import dataclass

PG, MARIADB, SQLITE = "postgres", "mariadb", "sqlite"
BOTH = (PG, MARIADB)


@dataclass(frozen=True)
class Scenario:
    """A row.

    Attributes:
        number: what tests refer to.
        fault: what happens.
        expected: what has to become of it.
        databases: where it can happen and is tested.
        waits_for: what part of the package, or which part of the row, is not there yet; ``None`` for none.
    """

    number: int
    fault: str
    expected: str
    databases: tuple[str, ...] = (PG,)
    waits_for: str | None = None

    @property
    def applies(self) -> bool:
        """Whether there is something to test already."""
        return bool(self.databases)


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(1, "kill -9 of the idle backend, then a read", "one retry, then the answer"),
    Scenario(2, "idle backend terminated, then a read or a write", "read repeated; write never doubled", BOTH),
    Scenario(3, "backend terminated during a read", "57P01, one retry, then the answer", BOTH),
    Scenario(4, "backend terminated inside a transaction", "no retry, the original error, one vote", BOTH),
    Scenario(5, "backend terminated before COMMIT", "outcome unknown, verified as aborted, repeated", BOTH),
    Scenario(6, "connection cut after COMMIT", "outcome unknown, verified as committed, the row is there once", BOTH),
    Scenario(7, "COMMIT and termination in one string", "exactly one row", BOTH),
    Scenario(8, "server stopped at once and back later", "circuit opens, quick rejections, all recover", BOTH),
    Scenario(9, "server shut down, starting, recovering", "repeated until the deadline", BOTH),
    Scenario(10, "database away when the process starts", "the process starts, and works once there is one", BOTH),
    Scenario(11, "server that does not answer new connections", "bounded by the time limit, a failure", BOTH),
    Scenario(12, "backend frozen during a query", "cut off at the deadline", BOTH),
    Scenario(13, "postmaster frozen", "new connections time out, present ones work"),
    Scenario(14, "packets dropped in both directions", "bounded, an operational error", BOTH),
    Scenario(15, "packets rejected", "an error at once, repeated", BOTH),
    Scenario(16, "300 ms of latency", "slow calls open the circuit, none of them fails"),
    Scenario(17, "connection cut in the middle of a result", "error after the rows so far, no row twice", BOTH),
    Scenario(18, "all connections of the server taken", "53300, retries within the budget, transactions go on"),
    Scenario(19, "pool exhausted", "busy and repeatable, no vote against the database"),
    Scenario(20, "server restarted behind a full pool", "first call in two attempts at most"),
    Scenario(21, "deadlock, serialization conflict", "whole unit of work again, circuit closed", BOTH),
    Scenario(22, "lock timeout, statement timeout", "told apart; a timeout is not repeated", BOTH),
    Scenario(23, "disk full", "53100 for writes, no vote, reads unaffected, recovers with room"),
    Scenario(
        24, "primary killed, standby promoted", "reconnect to it; nothing lost with a synchronous standby",
        waits_for="the lag of replicas comes with the replicas",
    ),
    Scenario(25, "primary turned read-only", "connection dropped, every attempt, then a failure", BOTH),
    Scenario(26, "Redis frozen, down, full, locked", "reads go to the database, and nothing is stale later", (SQLITE,)),
    Scenario(27, "wall clock jumps by an hour", "open period unchanged"),
    Scenario(28, "fork with locks held, after connections", "child has its own of both", BOTH),
    Scenario(29, "task cancelled, Ctrl+C during a query", "permit back, no vote, next query right"),
    Scenario(30, "half-open with 50 threads; a probe hangs", "permitted probes only; permit reclaimed"),
    Scenario(31, "database that comes and goes", "open periods double, nothing wrong is read or written"),
    Scenario(32, "pooler in transaction mode restarted", "one retry; a lost server-side cursor is told"),
    Scenario(33, "8 writers of one SQLite file", "repeated within the deadline, circuit closed", (SQLITE,)),
    Scenario(34, "access revoked, database dropped", "a failure at once, no retry", BOTH),
)  # fmt: skip
