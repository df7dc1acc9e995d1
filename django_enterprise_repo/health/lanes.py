"""Asking what may never answer: at most one thread for each component, and one question for all who ask.

The probes of one component (a database, a cache) share a lane, a thread that runs one after the other and ends when
nothing is left to do. While a probe hangs, whoever asks is told so, and no second thread hangs beside the first.
"""

from __future__ import annotations

import os
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from django.db import connections

from ..resilience.classification import classify
from ..resilience.guards import recorded_verdict
from .report import Finding, Outcome

#: Seconds for which an answer is given again, so that nobody can wear a database out by asking.
FRESH = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A question to one component.

    Attributes:
        check: the name of the check.
        component: the alias, ``None`` for the process itself.
        run: asks, given the seconds that it may take; what it raises is a failure.
        keeps: seconds for which a pass is given again.
    """

    check: str
    component: str | None
    run: Callable[[float], Outcome]
    keeps: float = FRESH

    def finding(self, outcome: Outcome, seconds: float) -> Finding:
        return Finding(check=self.check, component=self.component, outcome=outcome, seconds=seconds)


class Job:
    """A probe that was asked for, and its answer once there is one."""

    def __init__(self, probe: Probe, seconds: float) -> None:
        self.probe = probe
        self._seconds = seconds
        self._asked_at = time.monotonic()
        self._fresh_until = float("inf")
        self._done = threading.Event()
        self._finding: Finding | None = None

    @property
    def is_stale(self) -> bool:
        return time.monotonic() >= self._fresh_until

    @property
    def is_done(self) -> bool:
        return self._done.is_set()

    def run(self) -> None:
        started = time.monotonic()
        try:
            outcome = self.probe.run(self._seconds)
        except Exception as error:  # noqa: BLE001  # it is the answer
            outcome = failed(error)
            _let_go(error)
        self.finish(outcome, time.monotonic() - started)

    def finish(self, outcome: Outcome, seconds: float = 0.0) -> None:
        self._finding = self.probe.finding(outcome, seconds)
        self._fresh_until = time.monotonic() + (self.probe.keeps if outcome.status == "pass" else FRESH)
        self._done.set()

    def wait(self, seconds: float) -> Finding:
        """The answer, or that there is none ``seconds`` after the first who asked did."""
        now = time.monotonic()
        self._done.wait(max(0.0, self._asked_at + seconds - now))
        if self._finding is not None:
            return self._finding
        return self.probe.finding(Outcome("fail", "timeout"), time.monotonic() - self._asked_at)


class Lane:
    """The jobs of one component, and the thread that runs them while there are any."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._latest: dict[str, Job] = {}
        self._waiting: deque[Job] = deque()
        self._is_running = False

    def ask(self, probe: Probe, seconds: float, *, anew: bool = False) -> Job:
        """The latest job for ``probe``, or a new one where its answer is no longer fresh.

        ``anew`` takes no answer that was there before; one that is on its way is waited for all the same.
        """
        with self._lock:
            job = self._latest.get(probe.check)
            if job is not None and not job.is_stale and not (anew and job.is_done):
                return job
            job = self._latest[probe.check] = Job(probe, seconds)
            self._waiting.append(job)
            if not self._is_running:
                self._start()
            return job

    def _start(self) -> None:
        thread = threading.Thread(target=self._work, name=f"repository-health-{self._name}", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the process has as many threads as it may have
            while self._waiting:
                self._waiting.popleft().finish(Outcome("fail", "no_thread"))
        else:
            self._is_running = True

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._is_running = False
                    return
                job = self._waiting.popleft()
            try:
                job.run()
            finally:
                connections.close_all()  # this thread's, such as that of a cache in a table


def failed(error: Exception) -> Outcome:
    """What ``error`` says, its text aside."""
    verdict = recorded_verdict(error) or classify(error)
    return Outcome("fail", verdict.kind, verdict.code)


def _let_go(error: BaseException | None) -> None:
    """Release what the frames of a failure hold: drivers keep an error in the frame that raised it, a cycle in which a
    connection that was given up would stay open until the garbage is collected."""
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


_lanes: dict[str, Lane] = {}


def lane(name: str) -> Lane:
    """The lane of that name, made when first asked for."""
    return _lanes.get(name) or _lanes.setdefault(name, Lane(name))


def forget() -> None:
    """Forget all answers, and leave alone what hangs: for tests, and the child of a fork, where threads are gone."""
    _lanes.clear()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=forget)
