"""The circuit against a model that is as simple as it can be, over whatever happens in whatever order."""

from __future__ import annotations

import math

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from django_enterprise_repo.exceptions import CircuitOpenError

from .circuits import Clock, circuit

POLICY = {
    "fail_max": 3,
    "reset_timeout": 4.0,
    "max_reset_timeout": 20.0,
    "window": 6.0,
    "minimum_calls": 6,
    "failure_ratio": 0.5,
    "slow_call": 1.0,
    "slow_ratio": 0.5,
    "permits": 2,
    "probe_timeout": 3.0,
    "success_threshold": 2,
}


class Model:
    """What a circuit has to do, with lists for memory and numbered epochs for permits."""

    def __init__(self):
        self.epoch, self.state, self.isolated, self.calls, self.row = 0, "closed", False, [], 0
        self.since, self.until, self.period, self.slow = 0.0, 0.0, 0.0, False
        self.probes, self.successes, self.opened, self.rejected = {}, 0, 0, 0

    def become(self, state, now):
        self.epoch += 1
        self.opened += state == "open" != self.state
        self.state, self.isolated, self.since = state, False, now
        self.probes, self.successes = {}, 0
        if state == "closed":
            self.calls, self.row, self.slow = [], 0, False

    def trip(self, now, slow=False):
        again = self.period and (self.state == "half-open" or now - self.since < POLICY["window"])
        self.period = min(self.period * 2, POLICY["max_reset_timeout"]) if again else POLICY["reset_timeout"]
        self.become("open", now)
        self.until, self.slow = now + self.period, slow

    def admit(self, now, number):
        if self.state == "open" and not self.isolated and now >= self.until:
            self.become("half-open", now)
        self.probes = {probe: start for probe, start in self.probes.items() if now < start + POLICY["probe_timeout"]}
        if self.state == "open" or (self.state == "half-open" and len(self.probes) >= POLICY["permits"]):
            self.rejected += 1
            return None
        if self.state == "half-open":
            self.probes[number] = now
        return self.epoch, number

    def settle(self, permit, vote, seconds, now):
        epoch, number = permit
        if epoch != self.epoch or (self.state == "half-open" and self.probes.pop(number, None) is None):
            return
        if vote == "success" and seconds > POLICY["slow_call"]:
            vote = "slow"
        if vote == "void":
            return
        if self.state == "half-open":
            self.judge(vote, now)
        else:
            self.count(vote, now)

    def judge(self, vote, now):
        if vote == "failure" or (vote == "slow" and self.slow):
            self.trip(now, slow=vote == "slow")
            return
        self.successes += 1
        if self.successes >= POLICY["success_threshold"]:
            self.become("closed", now)

    def count(self, vote, now):
        self.calls.append((now, vote))
        self.row = self.row + 1 if vote == "failure" else 0
        votes = self.window(now)
        enough = len(votes) >= POLICY["minimum_calls"]
        if vote == "success":
            return
        if self.row >= POLICY["fail_max"] or (enough and votes.count("failure") / len(votes) >= 0.5):
            self.trip(now)
        elif vote == "slow" and enough and votes.count("slow") / len(votes) >= 0.5:
            self.trip(now, slow=True)

    def window(self, now):
        return [vote for moment, vote in self.calls if math.floor(moment) + 1 > now - POLICY["window"]]


class Circuits(RuleBasedStateMachine):
    permits = Bundle("permits")

    def __init__(self):
        super().__init__()
        self.clock, self.model, self.number = Clock(), Model(), 0
        self.breaker = circuit(self.clock, **POLICY)
        self.model.since = self.clock.now

    @rule(target=permits)
    def admit(self):
        self.number += 1
        expected = self.model.admit(self.clock.now, self.number)
        if expected is not None:
            return self.breaker.admit(), expected
        with pytest.raises(CircuitOpenError) as refused:
            self.breaker.admit()
        assert refused.value.retry_after > 0
        return None

    @rule(
        pair=consumes(permits),
        vote=st.sampled_from(["failure", "failure", "success", "slow", "void"]),
        seconds=st.floats(0, 2),
    )
    def settle(self, pair, vote, seconds):
        if pair is not None:
            self.breaker.settle(pair[0], vote, seconds)
            self.model.settle(pair[1], vote, seconds, self.clock.now)

    @rule(vote=st.sampled_from(["failure", "success", "slow"]), times=st.integers(1, 5))
    def call(self, vote, times):
        for _ in range(times):
            self.settle(self.admit(), vote, 0.0)

    @rule(seconds=st.integers(0, 6) | st.sampled_from([0.25, 0.5]))
    def wait(self, seconds):
        self.clock.advance(seconds)

    @rule()
    def wait_until_it_may_be_tried(self):
        if self.model.state == "open" and not self.model.isolated:
            assert self.breaker.retry_after == max(0.0, self.model.until - self.clock.now)
            self.clock.advance(self.breaker.retry_after)

    @rule()
    def isolate(self):
        if not self.model.isolated:
            since = self.model.since if self.model.state == "open" else self.clock.now
            self.model.become("open", since)
            self.model.isolated = True
        self.breaker.isolate()

    @rule()
    def release(self):
        if self.model.isolated:
            self.model.become("closed", self.clock.now)
            self.model.period = 0.0
        self.breaker.release()

    @rule()
    def close(self):
        if not self.model.isolated:
            self.model.become("closed", self.clock.now)
            self.model.period = 0.0
            self.breaker.close()

    @rule()
    def half_open(self):
        if not self.model.isolated:
            if self.model.state != "half-open":
                self.model.become("half-open", self.clock.now)
            self.breaker.half_open()

    @invariant()
    def agree(self):
        model, now = self.model, self.clock.now
        state, votes = self.breaker.snapshot(), self.model.window(self.clock.now) if model.state == "closed" else []
        assert (state.state, state.isolated, state.age) == (model.state, model.isolated, now - model.since)
        assert (state.opened, state.rejected) == (model.opened, model.rejected)
        assert state.window == (len(votes), votes.count("failure"), votes.count("slow"))
        assert (state.fail_counter, state.success_counter) == (model.row, model.successes)
        assert self.breaker.is_closed == (model.state == "closed")


TestCircuits = Circuits.TestCase
TestCircuits.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
