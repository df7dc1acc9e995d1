"""pybreaker's public API, without what is wrong with pybreaker 1.4.

The defects have the numbers of its review. What is concurrent (1, 2) and forks (9) is in ``test_breaker_threads.py``,
storages (11) are in ``test_breaker_storages.py``.
"""

from __future__ import annotations

import abc
import asyncio
import gc
from datetime import datetime

import pybreaker
import pytest
from django.db import IntegrityError, OperationalError

from django_enterprise_repo.exceptions import CircuitOpenError

from .circuits import Clock, Ears, circuit, trip, vote


@pytest.fixture
def clock():
    return Clock()


def fail(error=OperationalError):
    raise error


def attempt(breaker, error):
    with pytest.raises(error):
        breaker.call(fail, error)


def half_opened(clock, **settings):
    breaker = circuit(clock, **settings)
    trip(breaker)
    clock.advance(5.0)
    return breaker


# 3: an excluded error is no success


def test_an_excluded_error_says_nothing(clock):
    ears = Ears()
    breaker = half_opened(clock, options={"exclude": [IntegrityError], "listeners": [ears]})
    attempt(breaker, IntegrityError)
    assert breaker.current_state == "half-open"
    breaker.close()
    ears.heard.clear()

    for error in (OperationalError, OperationalError, IntegrityError):
        attempt(breaker, error)

    assert breaker.fail_counter == 2
    assert breaker.snapshot().window == (2, 2, 0)
    assert [event for event, *_ in ears.heard] == ["before_call", "failure"] * 2 + ["before_call"]


# 4: what stops a program, a task or a generator is no failure of the database


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError])
def test_an_interruption_says_nothing_and_gives_its_permit_back(clock, error):
    breaker = circuit(clock, fail_max=1)
    attempt(breaker, error)
    assert breaker.snapshot().window == (0, 0, 0)
    trip(breaker)
    clock.advance(5.0)

    for _ in range(3):
        attempt(breaker, error)
        assert breaker.current_state == "half-open"

    with breaker.calling():
        pass
    assert breaker.is_closed


def test_leaving_a_generator_early_says_nothing(clock):
    breaker = circuit(clock, fail_max=1)
    rows = breaker.call(lambda: (row for row in range(10)))

    for _row in rows:
        break
    rows.close()

    assert breaker.is_closed
    assert breaker.snapshot().window == (0, 0, 0)


def test_a_generator_is_guarded_while_it_runs(clock):
    def rows():
        yield 1
        raise OperationalError

    breaker = half_opened(clock)
    running = breaker.call(rows)
    assert breaker.current_state == "half-open", "making it has asked nothing of the database"
    assert next(running) == 1
    with pytest.raises(OperationalError):
        next(running)
    assert breaker.current_state == "open"


def test_a_generator_that_never_runs_holds_no_permit(clock):
    breaker = half_opened(clock)
    breaker.call(lambda: (row for row in range(10)))
    gc.collect()

    assert breaker.call(lambda: list(range(2))) == [0, 1]
    assert breaker.is_closed


def test_a_generator_takes_values_and_returns_one(clock):
    def echo():
        return (yield (yield 1))

    def outer():
        return (yield from breaker.call(echo))

    breaker = circuit(clock)
    running = outer()

    assert (next(running), running.send(2)) == (1, 2)
    with pytest.raises(StopIteration) as stopped:
        running.send(3)
    assert stopped.value.value == 3
    assert breaker.snapshot().window == (1, 0, 0)


# 5: stragglers


@pytest.mark.parametrize("late", ["failure", "success", "slow", "void"])
def test_a_call_of_an_older_phase_has_no_vote(clock, late):
    breaker = circuit(clock, fail_max=2)
    first, second = breaker.admit(), breaker.admit()
    trip(breaker)
    before = breaker.snapshot()
    breaker.settle(first, late)
    assert breaker.snapshot() == before

    clock.advance(5.0)
    probe = breaker.admit()
    breaker.settle(second, late)
    assert breaker.current_state == "half-open"
    breaker.settle(probe, "success")

    vote(breaker, "success")
    breaker.settle(first, late)
    breaker.settle(probe, late)
    assert breaker.is_closed
    assert breaker.snapshot().window == (1, 0, 0)


# 6: errors


def test_the_error_that_opens_a_circuit_comes_out_as_it_was(clock):
    breaker, error = circuit(clock, fail_max=1), OperationalError("down")

    with pytest.raises(OperationalError) as caught:
        breaker.call(fail, error)
    assert caught.value is error
    assert error.__cause__ is error.__context__ is None

    with pytest.raises(OperationalError) as refused:
        breaker.call(fail, error)
    assert type(refused.value) is CircuitOpenError
    with pytest.raises(ValueError, match="throw_new_error_on_trip"):
        circuit(clock, options={"throw_new_error_on_trip": True})


# 7: classes with a metaclass


def test_excluding_a_class_with_a_metaclass_excludes_that_class_alone(clock):
    class Refused(Exception, metaclass=abc.ABCMeta):
        pass

    breaker = circuit(clock, options={"exclude": [Refused]})

    attempt(breaker, Refused)
    attempt(breaker, OperationalError)

    assert breaker.fail_counter == 1


def test_a_predicate_excludes_and_one_that_fails_hides_no_error(clock, caplog):
    def predicate(error):
        return error.args[0] == "mine"

    breaker = circuit(clock, options={"exclude": [predicate]})

    with pytest.raises(OperationalError):
        breaker.call(fail, OperationalError("mine"))
    assert breaker.fail_counter == 0
    attempt(breaker, OperationalError)
    assert breaker.fail_counter == 1
    assert [(entry.message, entry.error_type) for entry in caplog.records] == [
        ("circuit_exclusion_failed", "IndexError")
    ]


# 8: listeners


class Broken(pybreaker.CircuitBreakerListener):
    def before_call(self, *args, **kwargs):
        raise ValueError("a value of a row")

    success = failure = state_change = before_call


def test_a_listener_that_raises_breaks_nothing_and_its_text_is_not_logged(clock, caplog):
    ears = Ears()
    breaker = circuit(clock, fail_max=1, options={"listeners": [Broken(), ears]})

    assert breaker.call(lambda: 5) == 5
    attempt(breaker, OperationalError)

    assert [event for event, *_ in ears.heard] == ["before_call", "success", "before_call", "state_change", "failure"]
    assert [entry.message for entry in caplog.records].count("circuit_listener_failed") == 5
    assert "a value of a row" not in caplog.text


@pytest.mark.parametrize("event", ["before_call", "state_change"])
def test_an_interrupted_listener_gives_the_permit_back(clock, event):
    breaker = half_opened(clock)
    listener = Ears()
    setattr(listener, event, lambda *args, **kwargs: fail(KeyboardInterrupt))
    breaker.add_listener(listener)

    with pytest.raises(KeyboardInterrupt):
        breaker.call(lambda: 5)

    breaker.remove_listener(listener)
    assert breaker.call(lambda: 5) == 5
    assert breaker.is_closed


# 10: clocks; jitter, growth and isolation are in test_breaker.py


def test_a_wall_clock_that_jumps_changes_no_period(clock, monkeypatch):
    breaker = circuit(clock)
    trip(breaker)

    class Jumped(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime(2999, 1, 1, tzinfo=tz)

    monkeypatch.setattr("django_enterprise_repo.resilience.circuit.datetime", Jumped)
    monkeypatch.setattr("pybreaker.datetime", Jumped)

    assert breaker.retry_after == 5.0
    with pytest.raises(CircuitOpenError):
        breaker.admit()


# What is kept of the API


def test_calls_give_what_the_function_gives_and_listeners_hear_of_them(clock):
    ears = Ears()
    breaker = circuit(clock, options={"listeners": [ears]})

    def add(a, *, b):
        return a + b

    assert breaker.call(add, 1, b=2) == 3
    assert breaker(add)(1, b=2) == breaker()(add)(1, b=2) == 3
    assert breaker(add).__name__ == "add"
    with breaker.calling():
        pass
    assert ears.heard[:2] == [("before_call", add, (1,), {"b": 2}), ("success",)]
    assert [event for event, *_ in ears.heard] == ["before_call", "success"] * 4


def test_methods_can_be_decorated(clock):
    class Shop:
        @circuit(clock)
        def sell(self, thing):
            return self, thing

    shop = Shop()

    assert shop.sell(5) == (shop, 5)


def test_coroutine_functions_are_guarded_until_they_end(clock):
    ears = Ears()
    breaker = circuit(clock, fail_max=1, options={"listeners": [ears]})

    @breaker
    async def work(error=None):
        await asyncio.sleep(0)
        if error:
            raise error
        return 5

    assert asyncio.run(work()) == 5
    with pytest.raises(OperationalError):
        asyncio.run(breaker.call_async(work.__wrapped__, OperationalError()))
    assert breaker.current_state == "open"
    assert ears.changes == [("closed", "open")]
    with pytest.raises(CircuitOpenError):
        asyncio.run(work())


def test_numbers_can_be_set_and_are_checked(clock):
    breaker = circuit(clock)

    breaker.fail_max, breaker.reset_timeout, breaker.success_threshold = 2, 7.0, 3
    with pytest.raises(ValueError, match="fail_max"):
        breaker.fail_max = 0

    trip(breaker)
    assert (breaker.fail_counter, breaker.retry_after, breaker.success_threshold) == (2, 7.0, 3)


def test_the_state_object_follows_and_can_be_set(clock):
    breaker = circuit(clock)

    assert isinstance(breaker.state, pybreaker.CircuitClosedState)
    breaker.state = "open"
    assert isinstance(breaker.state, pybreaker.CircuitOpenState)
    breaker.state = "half-open"
    assert isinstance(breaker.state, pybreaker.CircuitHalfOpenState)
    breaker.state = "closed"
    assert breaker.is_closed
