"""What guards which access path, found out by provoking it.

``python -m tests.db.resilience`` measures on PostgreSQL and writes the table into ``docs/explanation/coverage.md``.
"""

from __future__ import annotations

import gc
import itertools
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from django.db import Error, connections
from django.test import override_settings

from django_enterprise_repo import RetryPolicy
from django_enterprise_repo.exceptions import CircuitOpenError, RepositoryDatabaseError
from django_enterprise_repo.resilience.breakers import breaker, reset_breakers
from django_enterprise_repo.resilience.budget import budget
from tests.db.resilience.access_paths import PATHS, AccessPath
from tests.faults.django_env import databases
from tests.faults.proxy import FaultProxy

PAGE = Path(__file__).resolve().parents[3] / "docs" / "explanation" / "coverage.md"
_TABLE = re.compile(r"(?<=<!-- measured -->\n\n).*?(?=\n\n<!-- /measured -->)", re.DOTALL)

#: The engines compared, the package's own first.
ENGINES = ("django_enterprise_repo.db.backends", "django.db.backends")
COLUMNS = (
    "refused while the circuit is open",
    "failure counted",
    "tried again",
    "error in our words",
    "ended by a deadline",
)
YES, UNSENT, NO, NOTHING = "yes", "if unsent", "no", "–"
#: Seconds that a call is given by its deadline.
_DEADLINE = 0.25
#: Seconds that one is waited for which is not expected to end by it, and one of which nobody knows.
_SHORT, _PATIENT = 0.5, 2.0
#: Seconds after which a call that should have ended is ended by force.
_LONG = 60.0
#: Bytes with which a connection that was closed before still takes its leave.
_FAREWELL = 5


_PORTS = {"postgresql": 5432, "mysql": 3306}


class Outcome(NamedTuple):
    """What came of a provoked access.

    Attributes:
        error: what was raised; no more than its type, as a traceback keeps cursors alive.
        failures: what the breaker has counted.
        waits: waits between attempts.
        is_freed: it would not end, so the fault was taken away.
        sent: bytes that left for the server after the fault began.
    """

    error: type[Exception] | None
    failures: int
    waits: int
    is_freed: bool
    sent: int


class Laboratory:
    """The default database behind a proxy."""

    def __init__(self, proxy: FaultProxy) -> None:
        self._proxy = proxy
        self._direct = connections.settings["default"]
        self.vendor = connections["default"].vendor

    def row(self, path: AccessPath, expected: str = "") -> str:
        """The line of the table for ``path``.

        Where ``expected`` says that a call ends by its deadline it gets all the time it needs, elsewhere little.
        """
        ends = expected.rpartition(" |")[0].rpartition("| ")[2].split(" / ")
        measured = [
            self.measure(path.act, engine, _LONG if end == YES else _SHORT if expected else _PATIENT)
            for engine, end in zip(ENGINES, (ends[0], ends[-1]), strict=True)
        ]
        cells = [ours if ours == theirs else f"{ours} / {theirs}" for ours, theirs in zip(*measured, strict=True)]
        return f"| {path.title} | {' | '.join(cells)} |"

    def measure(self, act: Callable[..., object], engine: str, patience: float) -> list[str]:
        """The cells of one access path with one engine, in the order of ``COLUMNS``."""
        refused = self._provoke(act, engine, lambda: breaker("default").isolate())
        lost = self._provoke(act, engine, self._lose)
        hung = self._provoke(act, engine, self._proxy.blackhole, deadline=_DEADLINE, patience=patience)
        return [
            self._refusal(refused),
            YES if lost.failures else NO,
            self._repetition(act, engine),
            _told(lost.error),
            NO if hung.is_freed else YES if hung.error else NOTHING,
        ]

    def _refusal(self, refused: Outcome) -> str:
        assert not _is(refused.error, CircuitOpenError) or refused.sent <= _FAREWELL, "It was refused too late."
        return YES if _is(refused.error, CircuitOpenError) else NO

    def _repetition(self, act: Callable[..., object], engine: str) -> str:
        """Whether the access survives an outage that ends while it waits for another attempt."""
        for answer, fault in ((YES, self._lose), (UNSENT, self._vanish)):
            outcome = self._provoke(act, engine, fault, attempts=3)
            if outcome.waits and outcome.error is None:
                return answer
        return NO

    def _lose(self) -> None:
        """The connection breaks, and no other can be had."""
        self._proxy.refuse()
        self._proxy.reset()

    def _vanish(self) -> None:
        """There is no connection any more, so that nothing is sent, and no other can be had."""
        connections["default"].close()
        self._proxy.refuse()

    def _provoke(
        self,
        act: Callable[..., object],
        engine: str,
        fault: Callable[[], None],
        *,
        attempts: int = 1,
        deadline: float | None = None,
        patience: float = _LONG,
    ) -> Outcome:
        """Do ``act`` and let ``fault`` happen on the way; with several ``attempts`` it is over at the first wait."""
        begun: list[int] = []
        waits: list[float] = []
        freed = threading.Event()
        error: type[Exception] | None = None

        def free() -> None:
            freed.set()
            self._proxy.heal()

        def wait(seconds: float) -> None:
            waits.append(seconds)
            if attempts > 1:
                self._proxy.heal()

        rescue = threading.Timer(patience, free)

        def begin() -> None:
            if not begun:  # a function that is run again begins no second fault
                begun.append(self._proxy.forwarded["upstream"])
                rescue.start()
                fault()

        reset_breakers()
        budget.reset()
        retry = RetryPolicy(attempts=attempts, deadline=deadline, wait=0.01, max_wait=0.01)
        try:
            with (
                databases({"default": self._settings(engine)}),
                override_settings(ENTERPRISE_REPO={"RETRY": retry}),
                patch("time.sleep", wait),
            ):
                connections["default"].ensure_connection()
                try:
                    act(begin)
                except (Error, connections["default"].Database.Error) as raised:
                    error = type(raised)
                if not begun and error is not None:  # a busy machine took longer than the deadline to prepare
                    return self._provoke(act, engine, fault, attempts=attempts, deadline=deadline, patience=patience)
                sent = self._proxy.forwarded["upstream"] - begun[0]
                failures = breaker("default").snapshot().window.failures
                breaker("default").release()
                self._proxy.heal()
        finally:
            rescue.cancel()
            self._proxy.heal()
        return Outcome(error, failures, len(waits), freed.is_set(), sent)

    def _settings(self, engine: str) -> dict[str, Any]:
        backend = self._direct["ENGINE"].rpartition(".")[2]
        options = {**self._direct["OPTIONS"], "connect_timeout": int(_LONG) * 2}
        if self.vendor == "postgresql":
            options |= {"sslmode": "disable", "gssencmode": "disable"}
        at_the_proxy = {"HOST": "127.0.0.1", "PORT": self._proxy.port, "OPTIONS": options}
        return {**self._direct, "ENGINE": f"{engine}.{backend}", **at_the_proxy}


def _told(error: type[Exception] | None) -> str:
    if error is None:
        return NOTHING
    return YES if _is(error, RepositoryDatabaseError) else NO


def _is(error: type[Exception] | None, kind: type[Exception]) -> bool:
    return error is not None and issubclass(error, kind)


@contextmanager
def laboratory() -> Iterator[Laboratory]:
    """The default database behind a proxy of its own."""
    # Were a cursor collected in the proxy's thread, its farewell to the server would wait for that very thread.
    gc.disable()
    try:
        with FaultProxy(int(connections.settings["default"]["PORT"] or _PORTS[connections["default"].vendor])) as proxy:
            yield Laboratory(proxy)
    finally:
        gc.enable()


def table(rows: Iterable[tuple[AccessPath, str]]) -> str:
    """The Markdown of the whole table."""
    lines = [f"| access path | {' | '.join(COLUMNS)} |", f"|---|{'---|' * len(COLUMNS)}"]
    for group, members in itertools.groupby(rows, key=lambda row: row[0].group):
        lines += [f"| **{group}** |{' |' * len(COLUMNS)}", *(line for _, line in members)]
    return "\n".join(lines)


def published() -> str:
    """The table as the page has it."""
    found = _TABLE.search(PAGE.read_text())
    assert found, f"{PAGE.name} has no place for the table."
    return found.group()


def expected_rows() -> dict[tuple[str, str], str]:
    """The lines of the published table by group and title."""
    rows, group = {}, ""
    for line in published().splitlines()[2:]:
        title = line.split("|")[1].strip()
        if title.startswith("**"):
            group = title.strip("*")
        else:
            rows[group, title] = line
    return rows


def write() -> None:
    """Measure everything, and put the table into the page."""
    with laboratory() as measuring:
        text = table((path, measuring.row(path)) for path in PATHS)
    PAGE.write_text(_TABLE.sub(lambda _: text, PAGE.read_text()))
