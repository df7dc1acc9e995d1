"""A circuit under many threads, and across forks."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import pytest
from django.db import OperationalError

from django_enterprise_repo.exceptions import CircuitOpenError

from .circuits import Clock, Ears, circuit, trip, vote

ROOT = Path(__file__).resolve().parents[3]
WAIT = 30


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def pool():
    with ThreadPoolExecutor(20) as pool:
        yield pool


@pytest.mark.parametrize("way", ["call", "calling", "decorator"])
def test_calls_run_at_the_same_time(clock, pool, way):
    everybody = threading.Barrier(8)
    breaker = circuit(clock)

    def meet():
        return everybody.wait(WAIT)

    def calling():
        with breaker.calling():
            meet()

    guarded = {"call": lambda: breaker.call(meet), "calling": calling, "decorator": breaker(meet)}[way]

    for done in [pool.submit(guarded) for _ in range(8)]:
        done.result(WAIT)
    assert breaker.is_closed


@pytest.mark.parametrize("permits", [1, 3])
def test_a_half_open_circuit_admits_its_permits_and_no_more(clock, pool, permits):
    breaker = circuit(clock, permits=permits)
    trip(breaker)
    clock.advance(5.0)
    start, finish = threading.Barrier(20), threading.Event()

    def probe():
        start.wait(WAIT)
        try:
            with breaker.calling():
                finish.wait(WAIT)
        except CircuitOpenError as refused:
            return refused.retry_after
        return "admitted"

    calls = [pool.submit(probe) for _ in range(20)]
    for refused in itertools.islice(as_completed(calls, WAIT), 20 - permits):
        assert refused.result() != "admitted"
    finish.set()
    results = [call.result(WAIT) for call in calls]

    assert results.count("admitted") == permits
    assert all(0 < wait <= 0.1 for wait in results if wait != "admitted")
    assert breaker.is_closed
    assert breaker.snapshot().rejected == 20 - permits


def test_many_failures_at_once_open_it_once(clock, pool):
    ears = Ears()
    breaker = circuit(clock, options={"listeners": [ears]})
    everybody = threading.Barrier(20)

    def fail():
        with breaker.calling():
            everybody.wait(WAIT)
            raise OperationalError

    for done in [pool.submit(fail) for _ in range(20)]:
        assert isinstance(done.exception(WAIT), OperationalError)

    assert ears.changes == [("closed", "open")]
    assert (breaker.snapshot().opened, breaker.fail_counter, breaker.retry_after) == (1, 5, 5.0)


def test_no_failure_is_lost_among_successes(clock, pool):
    breaker = circuit(clock, fail_max=10_000, minimum_calls=10_000)

    def work():
        vote(breaker, *["success", "failure"] * 100)

    for done in [pool.submit(work) for _ in range(10)]:
        done.result(WAIT)

    assert breaker.snapshot().window.failures == 1000
    assert breaker.is_closed


def test_a_listener_that_hangs_holds_up_its_own_call_alone(clock, pool):
    called, goes_on = threading.Event(), threading.Event()

    class Hanging(Ears):
        def state_change(self, breaker, old, new):
            called.set()
            goes_on.wait(WAIT)

    breaker = circuit(clock, fail_max=1, options={"listeners": [Hanging()]})
    permit = breaker.admit()
    stuck = pool.submit(breaker.settle, permit, "failure")
    assert called.wait(WAIT)

    with pytest.raises(CircuitOpenError):
        pool.submit(breaker.admit).result(WAIT)
    assert pool.submit(breaker.snapshot).result(WAIT).state == "open"
    assert not stuck.done()

    goes_on.set()
    stuck.result(WAIT)


FORK = """
import os, signal, threading
from django.db import OperationalError
from django_enterprise_repo.exceptions import CircuitOpenError
from tests.unit.resilience.circuits import Clock, circuit, trip

clock = Clock()
closed, opened, probing = circuit(clock), circuit(clock), circuit(clock)
gone = circuit(clock)
del gone
closed.settle(closed.admit(), "failure")
trip(opened)
trip(probing)
probing.half_open()
probing.admit()
held = threading.Event()

def hold():
    with closed._lock, opened._lock, probing._lock:
        held.set()
        threading.Event().wait()

threading.Thread(target=hold, daemon=True).start()
held.wait()
child = os.fork()
if child == 0:
    signal.alarm(20)
    state = closed.snapshot()
    assert (state.state, state.fail_counter, state.window.failures) == ("closed", 1, 1), state
    for _ in range(4):
        closed.settle(closed.admit(), "failure")
    assert closed.current_state == opened.current_state == "open"
    for breaker in (closed, opened):
        try:
            breaker.admit()
        except CircuitOpenError as refused:
            assert refused.retry_after == 5.0
        else:
            raise AssertionError("an open circuit stays open in a child")
    probing.settle(probing.admit(), "success")
    assert probing.is_closed
    os._exit(0)
_, status = os.waitpid(child, 0)
raise SystemExit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="There is no fork here.")
def test_a_child_goes_on_though_a_thread_of_its_parent_held_the_locks():
    # In an interpreter of its own: the threads of this one are nobody's to fork.
    done = subprocess.run(
        [sys.executable, "-c", FORK], check=False, capture_output=True, text=True, cwd=ROOT, timeout=60
    )

    assert done.returncode == 0, done.stderr
