"""What the tests of the breaker share."""

from __future__ import annotations

from django_enterprise_repo.policies import BreakerPolicy
from django_enterprise_repo.resilience.breaker import CircuitBreaker


class Clock:
    """A monotonic clock that goes on when it is told to."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class Ears:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple] = []

    def before_call(self, breaker, func, *args, **kwargs):
        self.heard.append(("before_call", func, args, kwargs))

    def success(self, breaker):
        self.heard.append(("success",))

    def failure(self, breaker, error):
        self.heard.append(("failure", error))

    def state_change(self, breaker, old, new):
        self.heard.append(("state_change", old.name, new.name))

    @property
    def changes(self) -> list[tuple[str, str]]:
        return [entry[1:] for entry in self.heard if entry[0] == "state_change"]


def circuit(clock: Clock | None = None, *, options: dict | None = None, **policy) -> CircuitBreaker:
    """A breaker without jitter unless the policy names some."""
    return CircuitBreaker("default", BreakerPolicy(**{"jitter": 0} | policy), clock=clock or Clock(), **(options or {}))


def vote(breaker: CircuitBreaker, *votes: str, seconds: float = 0.0) -> None:
    for each in votes:
        breaker.settle(breaker.admit(), each, seconds)


def trip(breaker: CircuitBreaker) -> None:
    vote(breaker, *["failure"] * breaker.policy.fail_max)
