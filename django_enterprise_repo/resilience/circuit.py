"""The state machine of a circuit breaker: who may call, what the calls' ends mean, when a circuit opens and closes.

The lock is held for admission and settlement only, never while a call or whoever listens runs.
"""

from __future__ import annotations

import logging
import math
import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal, NamedTuple
from weakref import WeakSet

from ..exceptions import CircuitOpenError
from ..policies import BreakerPolicy
from .decisions import tell
from .phases import Closed, HalfOpen, Open, Permit, Phase, retry_after
from .windows import Outcome, RollingWindow, WindowCounts

logger = logging.getLogger("django_enterprise_repo.breaker")

#: What a call says about its database. ``"slow"`` is a success that took too long, or a statement that was cut off
#: for that; ``"void"`` says nothing at all.
Vote = Literal["failure", "success", "slow", "void"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerState:
    """A circuit at one moment.

    Attributes:
        alias: the database alias.
        state: ``"closed"``, ``"open"`` or ``"half-open"``.
        isolated: open by hand until somebody releases it.
        fail_counter: failures in a row; while not closed, those that opened it.
        success_counter: probes that succeeded, while half-open.
        window: calls, failures and slow calls of the last seconds, while closed.
        retry_after: seconds until a call may pass.
        rejected: calls turned away since the process started.
        opened: how often it opened since the process started.
        age: seconds it has been in this state.
        changed_at: when it came into this state.
        opened_at: when it last opened, ``None`` if never.
    """

    alias: str
    state: str
    isolated: bool
    fail_counter: int
    success_counter: int
    window: WindowCounts
    retry_after: float
    rejected: int
    opened: int
    age: float
    changed_at: datetime
    opened_at: datetime | None


class Change(NamedTuple):
    """The circuit went from one phase to another."""

    old: Phase
    new: Phase
    retry_after: float
    opened_at: datetime | None


class Circuit:
    """One circuit, for one database alias of this process.

    :meth:`admit` before a call and :meth:`settle` after it are all there is to it.
    """

    def __init__(self, alias: str, policy: BreakerPolicy, clock: Callable[[], float] = time.monotonic) -> None:
        self.alias = alias
        self.policy = policy
        self.clock = clock
        self._slow_above = math.inf if policy.slow_call is None else policy.slow_call
        self._phase: Phase = Closed(clock(), RollingWindow(policy.window))
        self._changed_at = datetime.now(UTC)
        self._opened_at: datetime | None = None
        self._opened = self._rejected = 0
        self.after_fork()
        _circuits.add(self)

    def after_fork(self) -> None:
        """Go on in a child process with the state as it was: locks that threads held and probes are the parent's."""
        # Re-entrant, because a signal handler or a finalizer may run at any line and use the database.
        self._lock = threading.RLock()
        if isinstance(self._phase, HalfOpen):
            self._phase.probes.clear()

    def announce(self, change: Change) -> None:
        """Tell others of a change, with no lock held."""

    # The hot path. A closed circuit is its own permit and a success only counts itself, so neither needs the lock:
    # one read of the phase decides both, and a success that crosses an opening counts in a window nobody reads again.

    def admit(self) -> Permit:
        """Leave for one call, to be handed to :meth:`settle` however the call ends.

        Raises:
            CircuitOpenError: the database is left alone for now, or its probes are under way.
        """
        phase = self._phase
        return phase if isinstance(phase, Closed) else self._admit_probe()

    def settle(self, permit: Permit, vote: Vote, seconds: float = 0.0) -> None:
        """Tell how the call went that ``permit`` was for, and how many seconds it took.

        A success that took longer than the policy's ``slow_call`` counts as slow. A call that was admitted in an
        older phase, and a probe whose permit has run out or is settled already, have no vote.
        """
        if vote == "success" and seconds <= self._slow_above:
            phase = self._phase
            if phase is permit and not phase.failures and phase.window.count_success(self.clock()):
                return
        elif vote == "success":
            vote = "slow"
        self._settle(permit, vote)

    def observe(self, vote: Vote, seconds: float = 0.0) -> None:
        """Tell how a call went that nobody asked leave for, say within a transaction. Counts while closed only."""
        phase = self._phase
        if isinstance(phase, Closed):
            self.settle(phase, vote, seconds)
        else:
            tell(logger, "circuit_vote_ignored", alias=self.alias, breaker_state=phase.name, vote=vote)

    def _admit_probe(self) -> Permit:
        change = None
        with self._lock:
            now, phase = self.clock(), self._phase
            if isinstance(phase, Closed):  # since admit() looked
                return phase
            if isinstance(phase, Open) and now >= phase.until:
                phase = HalfOpen(now, phase.period, phase.failures, phase.slowness)
                change = self._enter(phase, now)
            permit = phase.admit(self.policy, now) if isinstance(phase, HalfOpen) else None
            if permit is None:
                self._rejected += 1
                wait = retry_after(phase, self.policy, now)
        if permit is None:
            told = {"breaker_state": phase.name, "retry_after": round(wait, 3)}
            tell(logger, "circuit_rejected", alias=self.alias, **told)
            raise CircuitOpenError(retry_after=wait, alias=self.alias, fate="not_applied")
        try:
            self._tell(change)
            tell(logger, "circuit_probe_admitted", alias=self.alias)
        except BaseException:  # a listener was interrupted, and nobody would settle the permit
            self.settle(permit, "void")
            raise
        return permit

    def _settle(self, permit: Permit, vote: Vote) -> None:
        change, decision = None, "circuit_vote_ignored"
        with self._lock:
            phase = self._phase
            if isinstance(phase, Closed):
                if phase is permit and vote != "void":
                    change, decision = self._count(phase, vote, self.clock()), "circuit_vote_counted"
            elif isinstance(phase, HalfOpen) and phase.probes.pop(permit, None) is not None:
                decision = "circuit_probe_settled"
                if vote != "void":
                    change = self._judge(phase, vote, self.clock())
        if vote in ("failure", "slow") or decision == "circuit_probe_settled":
            told = {"breaker_state": phase.name, "vote": vote, "failures": phase.failures}
            tell(logger, decision, alias=self.alias, **told)
        self._tell(change)

    def _count(self, phase: Closed, vote: Outcome, now: float) -> Change | None:
        """Count a vote in a closed circuit, and open it when there are too many of its kind."""
        phase.window.count(vote, now)
        phase.failures = phase.failures + 1 if vote == "failure" else 0
        if vote == "success":
            return None
        calls, failures, slow = phase.window.counts(now)
        enough = calls >= self.policy.minimum_calls
        if phase.failures >= self.policy.fail_max or (enough and failures / calls >= self.policy.failure_ratio):
            return self._enter(self._opening(phase, now), now)
        if vote == "slow" and enough and slow / calls >= self.policy.slow_ratio:
            return self._enter(self._opening(phase, now, slowness=True), now)
        return None

    def _judge(self, phase: HalfOpen, vote: Outcome, now: float) -> Change | None:
        """Weigh a probe. A slow one keeps a circuit open that opened for slowness; after an outage it is welcome."""
        if vote == "failure" or (vote == "slow" and phase.slowness):
            return self._enter(self._opening(phase, now, slowness=vote == "slow"), now)
        phase.successes += 1
        if phase.successes < self.policy.success_threshold:
            return None
        return self._enter(Closed(now, RollingWindow(self.policy.window), phase.period), now)

    def _opening(self, phase: Closed | HalfOpen, now: float, slowness: bool = False) -> Open:
        period = self.policy.reset_timeout
        # A circuit that was closed for less than a window has not proved that the database is well.
        if phase.period and (isinstance(phase, HalfOpen) or now - phase.since < self.policy.window):
            period = min(2 * phase.period, self.policy.max_reset_timeout)
        return Open(now, now + self._spread(period), period, phase.failures, slowness)

    def _spread(self, period: float) -> float:
        return period * (1 + self.policy.jitter * random.random())  # noqa: S311 - spreads load, hides nothing

    def _enter(self, phase: Phase, now: float) -> Change:
        """Make ``phase`` the present one. Wants the lock; what it returns is announced without it."""
        old, self._phase = self._phase, phase
        if phase.name != old.name:
            self._changed_at = datetime.now(UTC)
            if isinstance(phase, Open):
                self._opened += 1
                self._opened_at = self._changed_at
        return Change(old, phase, retry_after(phase, self.policy, now), self._opened_at)

    def _tell(self, change: Change | None) -> None:
        if change is not None and change.old.event != change.new.event:
            self.announce(change)

    # By hand.

    def open(self) -> bool:
        """Open the circuit for one period, or let the period of an open one begin anew. The answer is pybreaker's:
        whether an error that opens a circuit is replaced, and no is what it always is.

        Raises:
            RuntimeError: the circuit is isolated.
        """

        def opened(phase: Phase, now: float) -> Phase:
            if isinstance(phase, Open):
                return replace(phase, until=now + self._spread(phase.period))
            return self._opening(phase, now)

        self._command(opened)
        return False

    def half_open(self) -> None:
        """Let probes through now.

        Raises:
            RuntimeError: the circuit is isolated.
        """

        def half_opened(phase: Phase, now: float) -> Phase:
            if isinstance(phase, HalfOpen):
                return phase
            return HalfOpen(now, phase.period, phase.failures, isinstance(phase, Open) and phase.slowness)

        self._command(half_opened)

    def close(self) -> None:
        """Let calls through and forget what happened before.

        Raises:
            RuntimeError: the circuit is isolated.
        """
        self._command(lambda phase, now: Closed(now, RollingWindow(self.policy.window)))

    def isolate(self) -> None:
        """Keep the circuit open until :meth:`release`, whatever the database does."""
        with self._lock:
            now, phase = self.clock(), self._phase
            since = phase.since if isinstance(phase, Open) else now
            change = self._enter(Open(since, math.inf, phase.period, phase.failures), now)
        self._tell(change)

    def release(self) -> None:
        """End an isolation: the circuit closes. One that is not isolated is left as it is."""
        change = None
        with self._lock:
            if self._phase.isolated:
                now = self.clock()
                change = self._enter(Closed(now, RollingWindow(self.policy.window)), now)
        self._tell(change)

    def _command(self, successor: Callable[[Phase, float], Phase]) -> None:
        with self._lock:
            if self._phase.isolated:
                raise RuntimeError("The circuit is isolated; release() ends that.")
            now = self.clock()
            change = self._enter(successor(self._phase, now), now)
        self._tell(change)

    # What is so.

    @property
    def is_closed(self) -> bool:
        return isinstance(self._phase, Closed)

    @property
    def retry_after(self) -> float:
        """Seconds until a call may pass; 0.0 when closed, and when the next call would be a probe."""
        return retry_after(self._phase, self.policy, self.clock())

    @property
    def current_state(self) -> str:
        return self._phase.name

    @property
    def rejected(self) -> int:
        """Calls turned away since the process started."""
        return self._rejected

    @property
    def fail_counter(self) -> int:
        return self._phase.failures

    @property
    def success_counter(self) -> int:
        phase = self._phase
        return phase.successes if isinstance(phase, HalfOpen) else 0

    def snapshot(self) -> BreakerState:
        with self._lock:
            now, phase = self.clock(), self._phase
            return BreakerState(
                alias=self.alias,
                state=phase.name,
                isolated=phase.isolated,
                fail_counter=phase.failures,
                success_counter=self.success_counter,
                window=phase.window.counts(now) if isinstance(phase, Closed) else WindowCounts(),
                retry_after=retry_after(phase, self.policy, now),
                rejected=self._rejected,
                opened=self._opened,
                age=now - phase.since,
                changed_at=self._changed_at,
                opened_at=self._opened_at,
            )


_circuits: WeakSet[Circuit] = WeakSet()


def _after_fork_in_child() -> None:
    for circuit in list(_circuits):
        circuit.after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork_in_child)
