"""A pybreaker storage is told what state a circuit is in (defect 11 of pybreaker: it is asked, under the lock)."""

from __future__ import annotations

import threading

import pybreaker
import pytest
from django.db import OperationalError

from .circuits import Clock, circuit, trip, vote

WAIT = 30


@pytest.fixture
def clock():
    return Clock()


def fail(error=OperationalError):
    raise error


def attempt(breaker, error):
    with pytest.raises(error):
        breaker.call(fail, error)


class Storage(pybreaker.CircuitMemoryStorage):
    """A storage that does what a test wants while its state is written, and tells when that is over."""

    def __init__(self, on_write=None):
        super().__init__("closed")
        self.on_write = on_write
        self.written = []
        self.told = threading.Semaphore(0)

    def touched(self, *args):
        raise AssertionError("only changes of state are told to a storage, and nothing is asked of it")

    increment_counter = reset_counter = increment_success_counter = reset_success_counter = touched
    counter = success_counter = property(touched)

    def write(self, state):
        self.written.append(state)
        try:
            if self.on_write is not None:
                self.on_write()
        finally:
            self.told.release()

    state = property(touched, write)


def test_a_storage_is_told_of_changes_and_never_asked(clock):
    storage = Storage()
    breaker = circuit(clock, options={"state_storage": storage})
    for change in (trip, lambda breaker: breaker.half_open(), lambda breaker: vote(breaker, "success")):
        change(breaker)
        assert storage.told.acquire(timeout=WAIT)

    assert storage.written == ["open", "half-open", "closed"]
    assert storage.opened_at == breaker.snapshot().opened_at


def test_a_storage_that_says_open_opens_nothing(clock):
    breaker = circuit(clock, options={"state_storage": pybreaker.CircuitMemoryStorage("open")})

    assert breaker.is_closed


def test_a_storage_that_raises_breaks_nothing(clock, caplog):
    storage = Storage(on_write=lambda: fail(ConnectionError("redis.internal:6379")))
    breaker = circuit(clock, fail_max=1, options={"state_storage": storage})

    attempt(breaker, OperationalError)
    assert storage.told.acquire(timeout=WAIT)
    breaker.close()
    assert storage.told.acquire(timeout=WAIT)

    assert storage.written == ["open", "closed"]
    assert "redis.internal" not in caplog.text
    assert "circuit_storage_failed" in caplog.text


def test_a_storage_that_hangs_holds_up_nothing(clock):
    before = set(threading.enumerate())
    begun, goes_on = threading.Event(), threading.Event()
    storage = Storage(on_write=lambda: (begun.set(), goes_on.wait(WAIT)))
    breaker = circuit(clock, fail_max=1, options={"state_storage": storage})
    trip(breaker)
    assert begun.wait(WAIT)
    breaker.close()

    for _ in range(5):
        attempt(breaker, OperationalError)
        clock.advance(breaker.retry_after)
        assert breaker.call(lambda: 5) == 5
    assert len(set(threading.enumerate()) - before) == 1

    goes_on.set()
    for _ in range(2):
        assert storage.told.acquire(timeout=WAIT)
    assert storage.written == ["open", "closed"], "what was the case in between is of no interest any more"
