"""Deadlines: a call is over when its time is, also when the database says nothing."""

from __future__ import annotations

import time

import pytest
from django.db import transaction
from django.db.models import FloatField, Func, Value

from django_enterprise_repo import RetryPolicy, deadline
from django_enterprise_repo.exceptions import InvalidArgument, QueryTimeout
from tests.testapp.models import Item, Plain

pytestmark = pytest.mark.django_db(transaction=True)


class Sleep(Func):
    """As many seconds as it says, in the database."""

    output_field = FloatField()

    def as_postgresql(self, compiler, connection, **extra):
        template = "(SELECT 1.0 FROM pg_sleep(%(expressions)s))"
        return super().as_sql(compiler, connection, template=template)

    def as_mysql(self, compiler, connection, **extra):
        return super().as_sql(compiler, connection, function="SLEEP")

    def as_sqlite(self, compiler, connection, **extra):
        # SQLite has no sleep: it counts for a long time, and is not asked for how long.
        numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000000)"
        return f"({numbers} SELECT MAX(i) FROM n)", []


@pytest.fixture
def slow():
    Plain.objects.create(name="a")
    return Plain.objects.annotate(slept=Sleep(Value(5)))


def elapsed(call):
    started = time.monotonic()
    with pytest.raises(QueryTimeout) as caught:
        call()
    return time.monotonic() - started, caught.value


@pytest.mark.parametrize(
    "limited",
    [
        lambda rows: rows.list(deadline=0.3),
        lambda rows: rows.get(Plain.objects.first().pk, deadline=0.3),
        lambda rows: rows.get_many([Plain.objects.first().pk], deadline=0.3),
    ],
    ids=["list", "get", "get_many"],
)
def test_a_call_ends_when_its_time_is_up(slow, limited):
    seconds, error = elapsed(lambda: limited(slow))
    assert seconds < 4  # and not the five that the statement takes
    assert error.kind == "deadline"
    assert error.model == "testapp.Plain"
    assert error.retryable is False
    assert Plain.objects.count() == 1  # on another connection


def test_the_surroundings_set_one(slow):
    with deadline(0.3):
        seconds, _ = elapsed(lambda: list(slow))
    assert seconds < 4


def test_the_policy_sets_one(slow, settings):
    settings.ENTERPRISE_REPO = {"RETRY": RetryPolicy(deadline=0.3)}
    seconds, _ = elapsed(lambda: list(slow))
    assert seconds < 4


def test_the_call_s_own_comes_first(settings):
    settings.ENTERPRISE_REPO = {"RETRY": RetryPolicy(deadline=0.3)}
    with deadline(0.2):
        assert Item.objects.list(deadline=60) == []


def test_inside_a_transaction_the_transaction_is_lost(slow):
    with pytest.raises(QueryTimeout), transaction.atomic():
        Plain.objects.create(name="b")
        slow.list(deadline=0.3)
    assert [row.name for row in Plain.objects.all()] == ["a"]


def test_a_unit_of_work_that_is_cut_off_was_not_applied(slow):
    seconds, error = elapsed(lambda: Plain.objects.atomic(deadline=0.3).run(lambda: list(slow)))
    assert seconds < 4
    assert error.fate == "not_applied"


def test_what_is_in_time_is_left_alone():
    for _ in range(3):
        assert Item.objects.list(deadline=30) == []
    assert Item.objects.add(Item(name="a"), deadline=30).pk
    assert Item.objects.count() == 1


@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan"), "1", True])
def test_no_number_of_seconds(value):
    with pytest.raises(InvalidArgument, match="positive number of seconds"):
        Item.objects.list(deadline=value)
    with pytest.raises(ValueError, match="positive number of seconds"), deadline(value):
        pass
