"""The budget for retries: full at first, filled by calls and by time, empty when it is used up."""

from __future__ import annotations

from django_enterprise_repo.resilience.budget import MOST, PER_SECOND, RATIO, RetryBudget


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def emptied(budget):
    taken = 0
    while budget.take():
        taken += 1
    return taken


def test_it_begins_full_and_ends():
    budget = RetryBudget(clock=Clock())
    assert emptied(budget) == MOST
    assert not budget.take()


def test_calls_earn_retries():
    budget = RetryBudget(clock=Clock())
    emptied(budget)
    for _ in range(round(3 / RATIO)):
        budget.count_call()
    assert emptied(budget) == 3


def test_asking_is_no_call():
    budget = RetryBudget(clock=Clock())
    emptied(budget)
    assert [budget.take() for _ in range(100)] == [False] * 100


def test_time_earns_retries_and_no_more_than_fit():
    clock = Clock()
    budget = RetryBudget(clock=clock)
    emptied(budget)
    clock.now += 2 / PER_SECOND
    assert emptied(budget) == 2
    clock.now += 1_000_000
    assert emptied(budget) == MOST
