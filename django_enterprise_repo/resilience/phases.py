"""The phases of a circuit, and the permits for calls that they give.

A change of phase is one assignment of a new object. So whoever reads the phase sees a whole one, without a lock, in a
forked child too; and a call that was admitted in an older phase is known by a permit that the present one never gave.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

from ..policies import BreakerPolicy
from .windows import RollingWindow

#: Seconds after which somebody may ask again who was turned away because the probes are under way: they usually answer
#: in less, and at the latest when their permits run out.
PROBE_PAUSE = 0.1


class Permit:
    """Leave to make one call, to be settled by whoever got it."""

    __slots__ = ()


@dataclass(slots=True, eq=False)
class Closed(Permit):
    """Calls pass. All of them share one permit, the phase itself.

    Attributes:
        since: when the phase began, on the breaker's clock.
        period: seconds the circuit was open before, 0.0 where that no longer matters.
        window: outcomes since then.
        failures: failures in a row.
    """

    name: ClassVar[str] = "closed"
    event: ClassVar[str] = "circuit_closed"
    isolated: ClassVar[bool] = False

    since: float
    window: RollingWindow
    period: float = 0.0
    failures: int = 0


@dataclass(slots=True, eq=False)
class Open:
    """No call passes until ``until``, which is infinite for a circuit that was isolated by hand.

    Attributes:
        since: when the phase began, on the breaker's clock.
        until: when the next call becomes a probe.
        period: seconds it stays open, without jitter.
        failures: failures in a row that led here.
        slowness: whether it was slow calls that opened it.
    """

    name: ClassVar[str] = "open"

    since: float
    until: float
    period: float
    failures: int = 0
    slowness: bool = False

    @property
    def isolated(self) -> bool:
        return self.until == math.inf

    @property
    def event(self) -> str:
        return "circuit_isolated" if self.isolated else "circuit_opened"


@dataclass(slots=True, eq=False)
class HalfOpen:
    """A few calls pass as probes, each with a permit of its own that runs out.

    Attributes:
        since: when the phase began, on the breaker's clock.
        period: seconds the circuit was open before, without jitter.
        failures: failures in a row that had opened it.
        slowness: whether it was slow calls that had opened it.
        successes: probes that succeeded.
        probes: permits in use, and when each runs out.
    """

    name: ClassVar[str] = "half-open"
    event: ClassVar[str] = "circuit_half_opened"
    isolated: ClassVar[bool] = False

    since: float
    period: float
    failures: int = 0
    slowness: bool = False
    successes: int = 0
    probes: dict[Permit, float] = field(default_factory=dict)

    def admit(self, policy: BreakerPolicy, now: float) -> Permit | None:
        """A permit for one probe, or ``None`` while all of them are in use."""
        for permit in [permit for permit, end in self.probes.items() if end <= now]:
            del self.probes[permit]
        if len(self.probes) >= policy.permits:
            return None
        permit = Permit()
        self.probes[permit] = now + policy.probe_timeout
        return permit


Phase = Closed | Open | HalfOpen


def retry_after(phase: Phase, policy: BreakerPolicy, now: float) -> float:
    """Seconds until a call may pass, 0.0 if it may now.

    Nobody knows how long an isolated circuit stays so; the longest period of the policy is told.
    """
    if isinstance(phase, Open):
        return policy.max_reset_timeout if phase.isolated else max(0.0, phase.until - now)
    if isinstance(phase, HalfOpen):
        ends = [end for end in tuple(phase.probes.values()) if end > now]
        return min(PROBE_PAUSE, min(ends) - now) if len(ends) >= policy.permits else 0.0
    return 0.0
