"""What clients were told of their writes, and whether the rows agree: the invariant of every fault test.

Each write has an id of its own. After the fault: every acknowledged write is there once, every failed one is not there,
every unknown one is there once or not at all, and nothing else is there. As in Jepsen, a write is unknown unless the
client knows better, so one whose client died is unknown.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.faults.clusters import PostgresCluster
from tests.faults.processes import wait_until

Outcome = Literal["begun", "ok", "failed", "unknown"]


@dataclass(frozen=True)
class Event:
    """``at`` is in seconds of the machine's monotonic clock, the same for all processes."""

    at: float
    write: str
    outcome: Outcome


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What rows and history say of each other.

    Attributes:
        ok, failed, unknown: how many writes ended so.
        applied: how many of the unknown ones are there.
        lost: acknowledged writes that are not there.
        revived: failed writes that are there.
        doubled: writes that are there more than once.
        foreign: rows that no write of this history explains.
    """

    ok: int
    failed: int
    unknown: int
    applied: int
    lost: tuple[str, ...]
    revived: tuple[str, ...]
    doubled: tuple[str, ...]
    foreign: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return not (self.lost or self.revived or self.doubled or self.foreign)


class History:
    """A history in the file ``path``, which threads and processes, forked or spawned, may write to together.

    Every event is one short append, so none is lost when a client is killed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def write(self, *, failed: type[Exception] | tuple[type[Exception], ...] = ()) -> Iterator[str]:
        """A write with a new id: ok when the block ends, failed when it raises ``failed``, else unknown.

        What it raises goes on.
        """
        write = uuid.uuid4().hex
        self.record(write, "begun")
        try:
            yield write
        except BaseException as error:
            self.record(write, "failed" if isinstance(error, failed) else "unknown")
            raise
        self.record(write, "ok")

    def record(self, write: object, outcome: Outcome) -> None:
        """Say what became of a write; of several attempts the best known counts: ok, then unknown, then failed."""
        line = f"{time.monotonic()!r} {outcome} {write}\n".encode()
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            written = os.write(file, line)
        finally:
            os.close(file)
        assert written == len(line), "The history is cut."

    def events(self) -> list[Event]:
        """All events so far, in the order in which they were written down."""
        text = self._path.read_text() if self._path.exists() else ""
        whole = text[: text.rfind("\n") + 1]  # who reads while others write may see the beginning of a line
        parts = [line.split(" ", 2) for line in whole.splitlines()]
        return [Event(float(at), write, outcome) for at, outcome, write in parts]  # type: ignore[arg-type]

    def outcomes(self) -> dict[str, Outcome]:
        """What is known of each write in the end; one that has only begun is unknown."""
        told: dict[str, set[Outcome]] = {}
        for event in self.events():
            told.setdefault(event.write, set()).add(event.outcome)
        return {write: _best(outcomes) for write, outcomes in told.items()}

    def check(self, found: Iterable[object]) -> Verdict:
        """Compare with the ids that the database has, each as often as it is there."""
        rows = Counter(str(write) for write in found)
        ends = self.outcomes()
        counts = Counter(ends.values())
        return Verdict(
            ok=counts["ok"],
            failed=counts["failed"],
            unknown=counts["unknown"],
            applied=sum(outcome == "unknown" and write in rows for write, outcome in ends.items()),
            lost=tuple(write for write, outcome in ends.items() if outcome == "ok" and write not in rows),
            revived=tuple(write for write, outcome in ends.items() if outcome == "failed" and write in rows),
            doubled=tuple(write for write, count in rows.items() if count > 1),
            foreign=tuple(write for write in rows if write not in ends),
        )

    def recovery(self, healed_at: float) -> float:
        """Seconds from ``healed_at`` (``time.monotonic()``) to the first acknowledged write that began after it.

        Raises:
            LookupError: if there is none.
        """
        events = self.events()
        begun = {event.write for event in events if event.outcome == "begun" and event.at >= healed_at}
        for event in events:
            if event.outcome == "ok" and event.write in begun:
                return event.at - healed_at
        raise LookupError("No write was acknowledged after that.")


def _best(outcomes: set[Outcome]) -> Outcome:
    if "ok" in outcomes:
        return "ok"
    return "failed" if "failed" in outcomes and "unknown" not in outcomes else "unknown"


def recovery_time(probe: Callable[[], object], within: float, *, errors: tuple[type[Exception], ...]) -> float:
    """Seconds until ``probe`` first returns instead of raising one of ``errors``.

    Raises:
        TimeoutError: if that does not happen ``within`` seconds; its cause is the last error.
    """
    started = time.monotonic()
    while True:
        try:
            probe()
        except errors as error:
            if time.monotonic() - started > within:
                raise TimeoutError(f"Not recovered within {within} s.") from error
            time.sleep(0.02)
        else:
            return time.monotonic() - started


def connections_return(cluster: PostgresCluster, application_name: str, *, to: int = 0, within: float = 5.0) -> None:
    """Wait until this application has no more than ``to`` connections.

    Raises:
        TimeoutError: if it keeps more.
    """
    wait_until(
        lambda: len(cluster.backends(application_name)) <= to,
        within,
        f"{application_name} keeps {to} connections or less",
    )


@contextmanager
def no_stuck_threads(within: float = 5.0) -> Iterator[None]:
    """Fail, with their stacks, if threads that began inside still run ``within`` seconds after the block."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + within
    begun = [thread for thread in threading.enumerate() if thread not in before]
    for thread in begun:
        thread.join(max(0.0, deadline - time.monotonic()))
    frames = sys._current_frames()
    stuck = {
        thread.name: "".join(traceback.format_stack(frames[thread.ident]))
        for thread in begun
        if thread.ident in frames and thread.is_alive()
    }
    assert not stuck, "Threads are stuck:\n" + "\n".join(f"{name}\n{stack}" for name, stack in stuck.items())
