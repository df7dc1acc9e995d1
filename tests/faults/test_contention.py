"""A database that is well and says no: deadlocks, conflicts, locks that others hold, statements that take too long."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import transaction
from django.db.models import F

from django_enterprise_repo.exceptions import LockTimeout, QueryTimeout
from django_enterprise_repo.testing import capture_operations
from tests.faults.guarded import ALIAS, AUDITED, BOTH, PATIENCE, STATEMENT, TRANSACTION, counts, in_background, record
from tests.testapp.models import Category, Entry, Plain


def amounts():
    return dict(Entry.objects.using(ALIAS).values_list("text", "amount"))


def both(works):
    """Call both at once, each in a thread of its own; how often each was called."""
    meeting, called = threading.Barrier(2), [0, 0]

    def run(n):
        def work():
            called[n] += 1
            works[n](lambda: meeting.wait(PATIENCE) if called[n] == 1 else None)

        Entry.objects.atomic(retries=5, using=ALIAS).run(work)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, range(2)))
    return called


@pytest.mark.scenario(21, databases=BOTH)
def test_of_two_that_wait_for_each_other_one_runs_again(guarded):
    a, b = AUDITED.add("a").pk, AUDITED.add("b").pk
    guarded.forget()

    def lock_in_order(first, second):
        def work(meet):
            Entry.objects.update_all({"id": first}, amount=F("amount") + 1, using=ALIAS)
            meet()
            Entry.objects.update_all({"id": second}, amount=F("amount") + 1, using=ALIAS)

        return work

    with capture_operations() as log:
        called = both([lock_in_order(a, b), lock_in_order(b, a)])

    assert sorted(called) == [1, 2]
    assert [operation.retried_for for operation in log if operation.retried_for] == [("deadlock",)]
    assert amounts() == {"a": 2, "b": 2}
    assert guarded.execute("SELECT count(*) FROM testapp_historicalentry") == [(6,)]
    assert guarded.circuit.is_closed
    assert counts(guarded.circuit)["failures"] == 0


@pytest.mark.scenario(21, databases=BOTH)
def test_of_two_that_have_read_the_same_one_runs_again(guarded):
    level = {"postgres": "SERIALIZABLE", "mariadb": "serializable"}[guarded.vendor]
    if guarded.vendor == "postgres":
        from django.db.backends.postgresql.psycopg_any import IsolationLevel

        level = IsolationLevel[level]
    guarded.configure(isolation_level=level)
    AUDITED.add("a")
    guarded.forget()

    def raise_amount(meet):
        entry = Entry.objects.using(ALIAS).get(text="a")
        meet()
        Entry.objects.update(entry, amount=entry.amount + 1, using=ALIAS)

    with capture_operations() as log:
        called = both([raise_amount, raise_amount])

    assert sorted(called) == [1, 2]
    expected = "serialization" if guarded.vendor == "postgres" else "deadlock"
    assert [operation.retried_for for operation in log if operation.retried_for] == [(expected,)]
    assert amounts() == {"a": 2}
    assert counts(guarded.circuit)["failures"] == 0


def wait_no_longer(guarded):
    """Give locks up soon."""
    if guarded.vendor == "postgres":
        guarded.configure(options="-c lock_timeout=200")
    else:
        guarded.configure(init_command="SET innodb_lock_wait_timeout = 1")


@pytest.mark.scenario(22, databases=BOTH)
def test_a_lock_that_somebody_holds(guarded, history):
    """Outside a transaction the statement is tried again, and it is nothing to leave the database alone for."""
    wait_no_longer(guarded)
    STATEMENT.add("locked")
    guarded.forget()

    def update():
        return Category.objects.using(ALIAS).filter(name="locked").update(name="changed")

    with transaction.atomic(using=ALIAS), capture_operations() as log:
        Category.objects.using(ALIAS).select_for_update().get(name="locked")
        with in_background(update) as updating, pytest.raises(LockTimeout) as caught:
            updating.result()

    assert (caught.value.kind, caught.value.fate, caught.value.retryable) == ("lock_timeout", "not_applied", True)
    assert (log[-1].attempts, log[-1].retried_for) == (3, ("lock_timeout",) * 2)
    assert counts(guarded.circuit)["failures"] == 0
    assert update() == 1


@pytest.mark.scenario(22, databases=BOTH)
def test_within_a_transaction_the_whole_is_tried_again(guarded, history):
    """MariaDB rolls back the statement alone; what was written before it must not come twice."""
    wait_no_longer(guarded)
    STATEMENT.add("locked")
    calls = []
    holds, may_go = threading.Event(), threading.Event()

    def hold():
        with transaction.atomic(using=ALIAS):
            Category.objects.using(ALIAS).select_for_update().get(name="locked")
            holds.set()
            may_go.wait(PATIENCE)

    def work(write):
        calls.append(write)
        if len(calls) == 2:
            may_go.set()
        TRANSACTION.add(write)
        Category.objects.update_all({"name": "locked"}, name="locked still", using=ALIAS)

    with in_background(hold) as holding:
        assert holds.wait(PATIENCE)
        record(history, lambda write: Plain.objects.atomic(retries=4, using=ALIAS).run(work, write))
        holding.result()

    assert len(calls) >= 2
    verdict = guarded.check(history, TRANSACTION)
    assert verdict.holds
    assert verdict.ok == 1
    assert counts(guarded.circuit)["failures"] == 0


@pytest.mark.scenario(22, databases=BOTH)
@pytest.mark.parametrize("call", ["read", "write"])
def test_a_statement_that_takes_too_long(guarded, history, call):
    """It would take as long again. That it was slow is what the breaker hears."""
    STATEMENT.add("before")
    history.record("before", "ok")
    if guarded.vendor == "postgres":
        guarded.configure(options="-c statement_timeout=300")
    else:
        guarded.configure(init_command="SET max_statement_time = 0.3")
    guarded.forget()

    with guarded.held(Category), capture_operations() as log, pytest.raises(QueryTimeout) as caught:
        if call == "read":
            Category.objects.list(using=ALIAS)
        else:
            guarded.write(history)

    assert (caught.value.kind, caught.value.fate, caught.value.retryable) == ("timeout", "not_applied", False)
    assert [operation.attempts for operation in log] == [1]
    assert counts(guarded.circuit) == {"calls": 1, "failures": 0, "slow": 1, "fail_counter": 0}
    assert guarded.check(history).holds
