"""When a circuit opens, how it is tried again, and what closes it."""

from __future__ import annotations

import logging

import pytest
from django.db import OperationalError

from django_enterprise_repo.exceptions import CircuitOpenError
from django_enterprise_repo.resilience.phases import PROBE_PAUSE

from .circuits import Clock, Ears, circuit, trip, vote


@pytest.fixture
def clock():
    return Clock()


def test_a_closed_circuit_admits_and_counts(clock):
    breaker = circuit(clock)

    vote(breaker, "success", "failure", "slow", "void")

    state = breaker.snapshot()
    assert breaker.is_closed
    assert (state.state, state.window, state.opened, state.rejected) == ("closed", (3, 1, 1), 0, 0)
    assert (state.retry_after, state.opened_at) == (0.0, None)


def test_failures_in_a_row_open_it(clock):
    breaker = circuit(clock, fail_max=3, reset_timeout=4.0)

    vote(breaker, "failure", "failure", "success", "failure", "failure")
    assert breaker.is_closed
    assert breaker.fail_counter == 2
    vote(breaker, "failure")

    assert (breaker.current_state, breaker.is_closed, breaker.fail_counter) == ("open", False, 3)
    assert breaker.retry_after == 4.0


def test_an_open_circuit_turns_calls_away_with_what_django_code_catches(clock):
    breaker = circuit(clock, reset_timeout=5.0)
    trip(breaker)
    clock.advance(2.0)

    with pytest.raises(CircuitOpenError) as caught:
        breaker.admit()

    assert isinstance(caught.value, OperationalError)
    assert (caught.value.retry_after, caught.value.alias, caught.value.fate) == (3.0, "default", "not_applied")
    assert breaker.snapshot().rejected == 1


def test_a_slow_success_ends_a_row_of_failures(clock):
    breaker = circuit(clock, fail_max=2)

    vote(breaker, "failure", "slow", "failure")

    assert breaker.is_closed


def test_a_void_call_leaves_the_row_of_failures_as_it_is(clock):
    breaker = circuit(clock, fail_max=2)

    vote(breaker, "failure", "void", "failure")

    assert not breaker.is_closed


def test_too_many_failures_among_the_last_calls_open_it(clock):
    breaker = circuit(clock, fail_max=100, minimum_calls=10, failure_ratio=0.5)

    vote(breaker, *["success", "failure"] * 4, "success")
    assert breaker.is_closed, "nine calls are too few to tell"
    vote(breaker, "failure")

    assert not breaker.is_closed


def test_calls_that_are_long_past_do_not_count(clock):
    breaker = circuit(clock, fail_max=100, minimum_calls=10, window=5.0)
    vote(breaker, *["success", "failure"] * 4, "success")
    clock.advance(6.0)

    vote(breaker, "failure")

    assert breaker.is_closed
    assert breaker.snapshot().window == (1, 1, 0)


def test_too_many_slow_calls_open_it(clock):
    breaker = circuit(clock, minimum_calls=5, slow_call=0.5, slow_ratio=0.6)

    vote(breaker, "success", "success", seconds=0.5)
    vote(breaker, "success", "success", seconds=0.51)
    assert breaker.is_closed
    assert breaker.snapshot().window == (4, 0, 2)
    vote(breaker, "success", seconds=3.0)

    assert not breaker.is_closed


def test_statements_that_were_cut_off_count_as_slow_without_a_limit_for_slowness(clock):
    breaker = circuit(clock, minimum_calls=5, slow_ratio=0.8)

    vote(breaker, "success", *["slow"] * 4)

    assert not breaker.is_closed


def test_after_its_period_one_probe_is_let_through(clock):
    breaker = circuit(clock, reset_timeout=5.0)
    trip(breaker)
    clock.advance(5.0)
    assert breaker.retry_after == 0.0

    probe = breaker.admit()

    assert breaker.current_state == "half-open"
    with pytest.raises(CircuitOpenError) as caught:
        breaker.admit()
    assert caught.value.retry_after == breaker.retry_after == PROBE_PAUSE
    breaker.settle(probe, "success")
    assert breaker.is_closed
    assert breaker.fail_counter == 0


def test_as_many_probes_at_once_as_there_are_permits(clock):
    breaker = circuit(clock, permits=3, success_threshold=3)
    trip(breaker)
    clock.advance(5.0)
    probes = [breaker.admit() for _ in range(3)]

    with pytest.raises(CircuitOpenError):
        breaker.admit()
    breaker.settle(probes[0], "void")
    probes[0] = breaker.admit()
    breaker.settle(probes[0], "success")
    breaker.settle(probes[0], "success")

    assert breaker.success_counter == 1, "a permit votes once"
    breaker.settle(probes[1], "success")
    assert breaker.current_state == "half-open"
    breaker.settle(probes[2], "success")
    assert breaker.is_closed


def test_a_probe_that_fails_opens_it_again_for_twice_as_long_up_to_the_longest(clock):
    breaker = circuit(clock, reset_timeout=5.0, max_reset_timeout=18.0)
    trip(breaker)
    waits = []

    for _ in range(4):
        waits.append(breaker.retry_after)
        clock.advance(waits[-1])
        vote(breaker, "failure")

    assert waits == [5.0, 10.0, 18.0, 18.0]
    assert breaker.snapshot().opened == 5


def test_a_failing_probe_doubles_the_period_however_long_the_circuit_was_half_open(clock):
    breaker = circuit(clock, reset_timeout=5.0, window=30.0)
    trip(breaker)
    clock.advance(5.0)

    vote(breaker, "void")
    clock.advance(100.0)
    vote(breaker, "failure")

    assert breaker.retry_after == 10.0


def test_an_outage_may_last_as_long_as_it_likes(clock):
    breaker = circuit(clock)
    trip(breaker)

    for _ in range(3000):  # doubling a float this often would overflow
        clock.advance(breaker.retry_after)
        vote(breaker, "failure")

    assert breaker.retry_after == 60.0


def test_flapping_makes_the_pauses_grow(clock):
    breaker = circuit(clock, reset_timeout=5.0, window=30.0)
    waits = []

    for _ in range(4):
        trip(breaker)
        waits.append(breaker.retry_after)
        clock.advance(waits[-1])
        vote(breaker, "success")
        clock.advance(2.0)

    assert waits == [5.0, 10.0, 20.0, 40.0]


def test_a_circuit_that_stayed_closed_for_a_window_starts_anew(clock):
    breaker = circuit(clock, reset_timeout=5.0, window=30.0)
    trip(breaker)
    clock.advance(5.0)
    vote(breaker, "success")
    clock.advance(30.0)

    trip(breaker)

    assert breaker.retry_after == 5.0


def test_jitter_only_adds(clock):
    waits = set()
    for _ in range(200):
        breaker = circuit(clock, reset_timeout=10.0, jitter=0.2)
        trip(breaker)
        waits.add(breaker.retry_after)

    assert len(waits) > 100
    assert all(10.0 <= wait <= 12.0 for wait in waits)


def test_a_slow_probe_keeps_a_circuit_open_only_if_slowness_opened_it(clock):
    tired = circuit(clock, minimum_calls=5)
    vote(tired, *["slow"] * 5)
    down = circuit(clock)
    trip(down)
    clock.advance(5.0)

    vote(tired, "slow")
    vote(down, "slow")

    assert (tired.current_state, down.current_state) == ("open", "closed")
    clock.advance(10.0)
    vote(tired, "slow")
    assert tired.current_state == "open"
    clock.advance(20.0)
    vote(tired, "success")
    assert tired.is_closed


def test_a_probe_that_hangs_loses_its_permit_and_its_vote(clock):
    breaker = circuit(clock, probe_timeout=10.0)
    trip(breaker)
    clock.advance(5.0)
    hung = breaker.admit()
    clock.advance(9.95)
    assert breaker.retry_after == pytest.approx(0.05), "at the latest when the permit runs out"
    clock.advance(1.05)
    assert breaker.retry_after == 0.0

    second = breaker.admit()
    breaker.settle(hung, "failure")

    assert breaker.current_state == "half-open"
    breaker.settle(second, "success")
    assert breaker.is_closed


@pytest.mark.parametrize("before", ["closed", "open", "half-open"])
def test_an_isolated_circuit_stays_open_until_it_is_released(clock, before):
    breaker = circuit(clock)
    straggler = breaker.admit()
    if before != "closed":
        trip(breaker)
    if before == "half-open":
        clock.advance(5.0)
        straggler = breaker.admit()

    breaker.isolate()
    breaker.settle(straggler, "success")
    clock.advance(1_000_000.0)

    state = breaker.snapshot()
    assert (state.state, state.isolated, state.retry_after) == ("open", True, 60.0)
    with pytest.raises(CircuitOpenError):
        breaker.admit()
    for command in (breaker.open, breaker.half_open, breaker.close):
        with pytest.raises(RuntimeError, match="isolated"):
            command()
    breaker.release()
    assert breaker.is_closed
    vote(breaker, "success")


def test_only_an_isolation_is_released(clock):
    breaker = circuit(clock)
    trip(breaker)

    breaker.release()

    assert breaker.current_state == "open"


def test_by_hand(clock):
    breaker = circuit(clock, reset_timeout=5.0)

    assert breaker.open() is False
    clock.advance(3.0)
    breaker.open()
    assert breaker.retry_after == 5.0, "its period begins anew"
    assert breaker.snapshot().opened == 1
    breaker.half_open()
    probe = breaker.admit()
    breaker.half_open()
    with pytest.raises(CircuitOpenError):
        breaker.admit()
    breaker.close()
    breaker.settle(probe, "failure")
    assert breaker.is_closed
    trip(breaker)
    assert breaker.retry_after == 5.0, "who closes it by hand says that all is well"


def test_every_change_is_one_line_that_names_no_more_than_the_alias(clock, caplog):
    caplog.set_level(logging.INFO, "django_enterprise_repo.breaker")
    breaker = circuit(clock)

    trip(breaker)
    clock.advance(5.0)
    vote(breaker, "success")
    breaker.isolate()
    breaker.isolate()
    breaker.release()

    lines = [
        (entry.levelname, entry.message, entry.alias, entry.breaker_state, entry.retry_after)
        for entry in caplog.records
    ]
    assert lines == [
        ("WARNING", "circuit_opened", "default", "open", 5.0),
        ("INFO", "circuit_half_opened", "default", "half-open", 0.0),
        ("INFO", "circuit_closed", "default", "closed", 0.0),
        ("WARNING", "circuit_isolated", "default", "open", 60.0),
        ("INFO", "circuit_closed", "default", "closed", 0.0),
    ]


def test_isolating_an_open_circuit_is_no_change_of_state(clock, caplog):
    ears = Ears()
    breaker = circuit(clock, options={"listeners": [ears]})
    trip(breaker)

    breaker.isolate()

    assert ears.changes == [("closed", "open")]
    assert [entry.message for entry in caplog.records] == ["circuit_opened", "circuit_isolated"]
    assert breaker.snapshot().opened == 1


def test_a_snapshot_tells_times(clock):
    breaker = circuit(clock)
    trip(breaker)
    clock.advance(3.0)

    state = breaker.snapshot()

    assert (state.alias, state.age, state.retry_after) == ("default", 3.0, 2.0)
    assert state.opened_at == state.changed_at
    assert state.opened_at.tzinfo is not None
    with pytest.raises(AttributeError):
        state.state = "closed"
