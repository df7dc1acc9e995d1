"""A breaker policy with a wrong value is refused where it is written."""

from __future__ import annotations

import math

import pytest

from django_enterprise_repo.policies import BreakerPolicy

WRONG = [
    *(
        {name: value}
        for name in ("fail_max", "minimum_calls", "permits", "success_threshold")
        for value in (0, True, 1.0)
    ),
    *(
        {name: value}
        for name in ("reset_timeout", "max_reset_timeout", "probe_timeout", "slow_call")
        for value in (0, -1.0, math.nan, math.inf, "5", True)
    ),
    *({name: value} for name in ("failure_ratio", "slow_ratio") for value in (0, 1.01, math.nan, None)),
    *({"jitter": value} for value in (-0.1, 1.1, None)),
    *({"window": value} for value in (0.9, 3601, None)),
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValueError, match=f"BreakerPolicy.{next(iter(wrong))} "):
        BreakerPolicy(**wrong)


@pytest.mark.parametrize(
    "contradiction",
    [{"reset_timeout": 61.0}, {"reset_timeout": 5.0, "max_reset_timeout": 4.0}, {"slow_call": 10.0}],
    ids=str,
)
def test_values_that_contradict_each_other_are_refused(contradiction):
    with pytest.raises(ValueError, match="BreakerPolicy"):
        BreakerPolicy(**contradiction)


def test_a_policy_is_a_value():
    assert BreakerPolicy(fail_max=3, slow_call=1) == BreakerPolicy(fail_max=3, slow_call=1.0)
    assert hash(BreakerPolicy()) == hash(BreakerPolicy())
    with pytest.raises(TypeError):
        BreakerPolicy(5)
