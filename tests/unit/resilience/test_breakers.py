"""One breaker for each alias and process."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from django_enterprise_repo.policies import BreakerPolicy
from django_enterprise_repo.resilience import breakers

from .circuits import trip


@pytest.fixture(autouse=True)
def _anew(monkeypatch):
    monkeypatch.setattr(breakers, "_made", {})
    monkeypatch.setattr(breakers, "_resolve", breakers._resolve)


def test_a_breaker_is_made_once_and_has_its_alias_as_name():
    default, other = breakers.breaker("default"), breakers.breaker("other")

    assert breakers.breaker("default") is default is not other
    assert (default.name, other.name) == ("default", "other")
    assert breakers.existing_breakers() == {"default": default, "other": other}
    breakers.reset_breakers()
    assert breakers.existing_breakers() == {}
    assert breakers.breaker("default") is not default


def test_the_policy_of_an_alias_is_what_the_project_says():
    assert breakers.breaker("default").policy == BreakerPolicy()
    breakers.configure(lambda alias: BreakerPolicy(fail_max=len(alias)))

    assert breakers.breaker("other").policy.fail_max == 5
    assert breakers.breaker("replica").policy.fail_max == 7
    assert breakers.breaker("default").policy == BreakerPolicy(), "made before"


def test_threads_that_ask_at_once_get_the_same(monkeypatch):
    everybody = threading.Barrier(8)

    def resolve(alias):
        everybody.wait(30)  # all of them find none, and make one
        return BreakerPolicy()

    breakers.configure(resolve)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(breakers.breaker, ["default"] * 8))

    assert len(set(made)) == 1
    assert breakers.breaker("default") is made[0]


def test_the_signal_tells_of_every_change_and_a_broken_receiver_breaks_nothing(caplog):
    heard = []

    def broken(**kwargs):
        raise ValueError

    def receiver(sender, alias, old, new, breaker, **kwargs):
        heard.append((sender, alias, old, new, breaker.current_state))

    default = breakers.breaker("default")
    breakers.circuit_state_changed.connect(broken)
    breakers.circuit_state_changed.connect(receiver)
    try:
        trip(default)
        default.half_open()
        default.close()
    finally:
        breakers.circuit_state_changed.disconnect(broken)
        breakers.circuit_state_changed.disconnect(receiver)

    kind = type(default)
    assert heard == [
        (kind, "default", "closed", "open", "open"),
        (kind, "default", "open", "half-open", "half-open"),
        (kind, "default", "half-open", "closed", "closed"),
    ]
    assert [entry.name for entry in caplog.records].count("django.dispatch") == 3


def test_the_signal_is_sent_with_no_lock_held():
    default = breakers.breaker("default")
    seen = []

    def receiver(breaker, **kwargs):
        with ThreadPoolExecutor(1) as pool:
            seen.append(pool.submit(breaker.snapshot).result(30).state)

    breakers.circuit_state_changed.connect(receiver)
    try:
        trip(default)
    finally:
        breakers.circuit_state_changed.disconnect(receiver)

    assert seen == ["open"]


def test_the_registry_imports_pybreaker_with_the_first_breaker_alone():
    script = """
import sys
from django_enterprise_repo.resilience import breakers
assert "pybreaker" not in sys.modules and "redis" not in sys.modules
breakers.breaker("default")
assert "pybreaker" in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
