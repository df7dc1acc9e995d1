"""The rolling window: one-second buckets over the last seconds."""

from __future__ import annotations

import math
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from django_enterprise_repo.resilience.windows import RollingWindow, WindowCounts


def test_every_outcome_is_a_call():
    window = RollingWindow(30.0)

    for outcome in ("success", "failure", "failure", "slow"):
        window.count(outcome, 5.0)

    assert window.counts(5.0) == WindowCounts(calls=4, failures=2, slow=1)


def test_a_bucket_counts_while_part_of_its_second_is_within_the_span():
    window = RollingWindow(10.0)
    window.count("failure", 5.0)

    assert window.counts(15.9).failures == 1
    assert window.counts(16.0) == WindowCounts()


def test_a_success_needs_a_bucket_of_this_second_to_be_counted_without_a_lock():
    window = RollingWindow(10.0)
    assert not window.count_success(5.0)
    window.count("success", 5.0)

    assert window.count_success(5.999)
    assert not window.count_success(6.0)
    assert window.counts(6.0) == WindowCounts(calls=2)


def test_an_idle_window_keeps_nothing_but_its_last_seconds():
    window = RollingWindow(3.0)

    for second in range(1000):
        window.count("success", float(second))

    assert len(window._buckets) <= 5
    assert window.counts(999.0).calls == 4


@given(
    span=st.integers(1, 5).map(float) | st.floats(1, 5),
    steps=st.lists(st.tuples(st.floats(0, 4), st.sampled_from(["success", "failure", "slow"])), max_size=40),
    wait=st.floats(0, 10),
)
def test_counts_are_those_of_the_calls_whose_second_is_not_over_for_longer_than_the_span(span, steps, wait):
    window, now, calls = RollingWindow(span), 100.0, []
    for pause, outcome in steps:
        now += pause
        if outcome != "success" or not window.count_success(now):
            window.count(outcome, now)
        calls.append((math.floor(now) + 1, outcome))
    now += wait

    kept = Counter(outcome for end, outcome in calls if end > now - span)

    assert window.counts(now) == WindowCounts(kept.total(), kept["failure"], kept["slow"])
