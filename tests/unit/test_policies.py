"""A policy with a wrong value is refused where it is written."""

from __future__ import annotations

import pickle
from datetime import timedelta

import pytest

from django_enterprise_repo import FilterField, FilterPolicy, RetentionPolicy, RetryPolicy, SoftDeletePolicy


@pytest.mark.parametrize(
    "make",
    [
        lambda: FilterField(""),
        lambda: FilterField("and"),
        lambda: FilterField("a:b"),
        lambda: FilterField("a", type=list),
        lambda: FilterField("a", operators="eq"),
        lambda: FilterPolicy(fields=["a"]),
        lambda: FilterPolicy(fields=(1,)),
        lambda: FilterPolicy(fields=("a", FilterField("a"))),
        lambda: FilterPolicy(ordering="a"),
        lambda: FilterPolicy(max_depth=0),
        lambda: FilterPolicy(max_list=True),
        lambda: FilterPolicy(max_offset=-1),
        lambda: SoftDeletePolicy(field="a", marker="moon"),
        lambda: RetentionPolicy(history=timedelta()),
        lambda: RetentionPolicy(history=timedelta(days=-1)),
        lambda: RetentionPolicy(history=timedelta(days=365_001)),
        lambda: RetentionPolicy(history=30),
        lambda: RetentionPolicy(keep_versions=0),
        lambda: RetentionPolicy(keep_versions=True),
        lambda: RetentionPolicy(keep_baseline=1),
        lambda: RetentionPolicy(keep_deleted=None),
        lambda: RetryPolicy(attempts=0),
        lambda: RetryPolicy(attempts=True),
        lambda: RetryPolicy(attempts=2.0),
        lambda: RetryPolicy(deadline=0),
        lambda: RetryPolicy(deadline=float("inf")),
        lambda: RetryPolicy(deadline=float("nan")),
        lambda: RetryPolicy(deadline="1"),
        lambda: RetryPolicy(deadline=True),
        lambda: RetryPolicy(wait=0),
        lambda: RetryPolicy(wait=None),
        lambda: RetryPolicy(max_wait=-1),
        lambda: RetryPolicy(wait=2.0, max_wait=1.0),
        lambda: RetryPolicy(wait=0.5, deadline=0.5),
    ],
)
def test_nonsense_is_refused(make):
    with pytest.raises(ValueError, match=r"\w"):
        make()


def test_a_retention_policy_keeps_everything_unless_it_says_how_long():
    assert RetentionPolicy().history is None
    with pytest.raises(TypeError):
        RetentionPolicy(timedelta(days=1))


def test_a_retry_policy_has_limits_that_fit_together():
    assert RetryPolicy().attempts == 3
    assert RetryPolicy().deadline is None
    assert RetryPolicy(wait=1.0, max_wait=1.0, deadline=1.5).wait == 1.0
    assert RetryPolicy(attempts=1) == pickle.loads(pickle.dumps(RetryPolicy(attempts=1)))
    with pytest.raises(TypeError):
        RetryPolicy(3)


def test_policies_are_values():
    policy = FilterPolicy(fields=("a", FilterField("b", path="c__d")), max_limit=None)

    assert pickle.loads(pickle.dumps(policy)) == policy
    assert hash(policy) == hash(pickle.loads(pickle.dumps(policy)))
    assert [field.name for field in policy.declared()] == ["a", "b"]
