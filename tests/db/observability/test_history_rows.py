"""How many history rows the write path has written: every way to write, and nothing that was rolled back."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext, suppress

import pytest
from django.db import IntegrityError, transaction
from django.db.models.signals import post_save
from django.test import TestCase

from django_enterprise_repo.db import hooks
from django_enterprise_repo.operations import counts
from tests.db.auditing.test_write_paths import AUDITED, EVERY
from tests.db.observability.test_listening import Growth, exploding_metrics
from tests.db.resilience.conftest import deadlock, failing
from tests.testapp.models import Account, Audited, Entry, Ledger, Shop

pytest.importorskip("prometheus_client")

pytestmark = pytest.mark.django_db(transaction=True)

__all__ = ["exploding_metrics", "failing"]

#: Models whose rows simple-history's own receivers record where one entity is saved or deleted.
BY_SIGNALS = (Audited, Ledger, Shop)


@pytest.fixture
def counted():
    """The history rows of each model that were counted since, after comparing the metric with the counts."""
    counts.reset()
    growth = Growth()

    def look():
        found = {model: model._default_manager.metrics().history_rows for model in AUDITED}
        for model, rows in found.items():
            assert growth.of("history_rows_total", model=model._meta.label, alias="default") == rows
        return {model: rows for model, rows in found.items() if rows}

    return look


@pytest.mark.parametrize("nested", [False, True], ids=["autocommit", "nested"])
@pytest.mark.parametrize(("prepare", "write", "expected"), [row[1:] for row in EVERY], ids=[row[0] for row in EVERY])
def test_every_way_to_write_is_counted(prepare, write, expected, nested):
    prepare()
    counts.reset()

    with transaction.atomic() if nested else nullcontext():
        write()

    written = Counter(model for model, _ in expected)
    for model in AUDITED:
        found = counts.of(model).history_rows
        assert found == written[model] or (model in BY_SIGNALS and not found), model


def test_single_and_set_writes_are_in_metric_and_counts(counted):
    account = Account.objects.add(Account(name="a"))
    Account.objects.update(account, size=2)
    Entry.objects.add_all([Entry(account=account) for _ in range(3)])
    Account.objects.delete(account, hard=True)

    assert counted() == {Account: 3, Entry: 6}, "a cascade writes the history of its own model"


def test_what_simple_history_records_by_itself_is_not_ours_to_count(counted):
    Ledger.objects.create(text="a").save()
    assert counted() == {}
    Ledger.objects.update_all({"text": "a"}, size=2)
    assert counted() == {Ledger: 1}


def test_what_fails_is_not_counted(counted):
    Account.objects.add(Account(name="a"))

    with pytest.raises(IntegrityError):
        Account.objects.add_all([Account(name=name) for name in "bca"], batch_size=1)

    assert counted() == {Account: 1}


def test_a_transaction_counts_when_it_is_committed(counted):
    with transaction.atomic():
        Account.objects.add(Account(name="a"))
        assert counted() == {}
    assert counted() == {Account: 1}

    with suppress(ZeroDivisionError), transaction.atomic():
        Account.objects.add(Account(name="b"))
        raise ZeroDivisionError
    with transaction.atomic():
        with suppress(ZeroDivisionError), transaction.atomic():
            Account.objects.add(Account(name="c"))
            raise ZeroDivisionError
        Account.objects.add(Account(name="d"))
    assert counted() == {Account: 2}


def test_a_transaction_begun_by_hand_is_not_counted(counted):
    transaction.set_autocommit(False)
    try:
        Account.objects.add(Account(name="a"))
        transaction.rollback()
    finally:
        transaction.set_autocommit(True)
    assert counted() == {}


def test_a_unit_of_work_counts_what_its_last_attempt_wrote(counted, failing):
    attempts = []

    def work():
        attempts.append(1)
        Account.objects.add(Account(name="a"))
        if len(attempts) == 1:
            failing.errors = [deadlock()]
        Entry.objects.count()

    Account.objects.atomic(retries=2).run(work)

    assert len(attempts) == 2
    assert counted() == {Account: 1}


@pytest.fixture
def on_save():
    """Calls of the save of an account, after it is written and recorded, within its operation."""
    calls = []

    def saved(instance, **kwargs):
        if calls:
            calls.pop(0)()

    post_save.connect(saved, sender=Account, weak=False)
    yield calls
    post_save.disconnect(saved, sender=Account)


def test_an_attempt_that_failed_is_not_counted_with_the_next(counted, failing, on_save):
    def deadlocked():
        failing.errors = [deadlock()]
        Entry.objects.count()

    on_save.append(deadlocked)
    Account.objects.add(Account(name="a"))

    assert not on_save
    assert Account.history.count() == 1
    assert counted() == {Account: 1}


def test_a_write_that_fails_inside_another_is_not_counted_with_it(counted, on_save):
    def fails():
        raise ZeroDivisionError

    def caught():
        with suppress(ZeroDivisionError):
            Account.objects.add(Account(name="inner"))

    on_save.extend([caught, fails])
    Account.objects.add(Account(name="outer"))

    assert not on_save
    assert Account.history.count() == 1
    assert counted() == {Account: 1}


@pytest.mark.usefixtures("exploding_metrics")
def test_a_metric_that_raises_is_reported_and_breaks_nothing(caplog):
    counts.reset()
    with transaction.atomic():
        Account.objects.add(Account(name="a"))

    assert counts.of(Account).history_rows == 1
    reports = [record for record in caplog.records if record.getMessage() == "sink_failed"]
    assert [(record.sink, record.error_type) for record in reports] == [("metrics", "OSError")]


class TestInATestCase(TestCase):
    """The transactions around a test are no transactions to wait for."""

    def test_counted_at_once_unless_the_test_opens_one_itself(self):
        counts.reset()
        Account.objects.add(Account(name="a"))
        assert counts.of(Account).history_rows == 1

        with self.captureOnCommitCallbacks() as callbacks:
            Account.objects.add(Account(name="b"))
        # With Django's engine the end of the transaction is heard of by callbacks; none is there to count.
        assert all(callback.func is hooks._committed for callback in callbacks)
        assert counts.of(Account).history_rows == 2

        with self.captureOnCommitCallbacks(execute=True), transaction.atomic():
            Account.objects.add(Account(name="c"))
            assert counts.of(Account).history_rows == 2
        assert counts.of(Account).history_rows == 3
