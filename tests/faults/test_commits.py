"""Connections that are lost around COMMIT, when only the server knows what became of the transaction."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from django.db import OperationalError, connections, transaction

from django_enterprise_repo import verify_commit
from django_enterprise_repo.db import hooks
from django_enterprise_repo.exceptions import CommitOutcomeUnknown
from django_enterprise_repo.testing import capture_operations
from tests.faults.guarded import ALIAS, AUDITED, BOTH, KINDS, STATEMENT, TRANSACTION, record
from tests.testapp.models import Plain

IN_TRANSACTIONS = [TRANSACTION, AUDITED]


def kind_name(kind):
    return kind.model.__name__


@pytest.fixture
def verified(caplog):
    """What the servers that were asked have said, as the log tells it."""
    caplog.set_level("DEBUG", "django_enterprise_repo.retry")
    return lambda: [record.commit_outcome for record in caplog.records if record.getMessage() == "commit_verified"]


class EndsBeforeCommit:
    """Ends the session when nothing but COMMIT is left to be sent."""

    def __init__(self, guarded):
        self.guarded = guarded
        self.times = 1

    def before_commit(self, connection):
        if self.times:
            self.times -= 1
            self.guarded.terminate(self.guarded.own_session())

    def statement(self, connection, sql, kind): ...

    def savepoint(self, connection, sid, event): ...

    def finished(self, connection, fate): ...


@contextmanager
def ended_before_commit(guarded):
    ending = EndsBeforeCommit(guarded)
    hooks.listen(ending)
    try:
        yield
    finally:
        hooks.ignore(ending)
    assert not ending.times


@contextmanager
def cut_at_commit(guarded, moment):
    guarded.proxy.cut_at_commit(moment)
    yield
    assert guarded.proxy.cuts == 1


def ended_at_commit(how, guarded):
    return ended_before_commit(guarded) if how == "terminated" else cut_at_commit(guarded, "before")


@pytest.mark.scenario(5, databases=BOTH)
@pytest.mark.parametrize("how", ["terminated", "cut"])
@pytest.mark.parametrize("kind", IN_TRANSACTIONS, ids=kind_name)
def test_nobody_knows_what_became_of_a_commit_that_was_not_answered(guarded, history, kind, how):
    kind.add("before")
    history.record("before", "ok")

    with (
        ended_at_commit(how, guarded),
        capture_operations() as log,
        pytest.raises(CommitOutcomeUnknown) as caught,
    ):
        guarded.write(history, kind)

    assert caught.value.fate == "unknown"
    assert [operation.attempts for operation in log] == [1]
    verdict = guarded.check(history, kind)
    assert verdict.holds
    assert (verdict.ok, verdict.unknown, verdict.applied) == (1, 1, 0)


@pytest.mark.scenario(5)
@pytest.mark.parametrize("how", ["terminated", "cut"])
@pytest.mark.parametrize("kind", IN_TRANSACTIONS, ids=kind_name)
def test_the_server_says_that_it_was_not_committed_and_the_unit_of_work_is_repeated(guarded, history, kind, how):
    kind.add("before")
    history.record("before", "ok")

    with ended_at_commit(how, guarded), capture_operations() as log:
        work = kind.model.objects.atomic(retries=2, verify_commit=True, using=ALIAS)
        record(history, lambda write: work.run(kind.add, write))

    assert (log[-1].spec.name, log[-1].attempts) == ("atomic", 2)
    verdict = guarded.check(history, kind)
    assert verdict.holds
    assert verdict.ok == 2


@pytest.mark.scenario(5)
def test_without_retries_it_is_said_that_it_was_not_committed(guarded, history, verified):
    work = Plain.objects.atomic(verify_commit=True, using=ALIAS)

    with cut_at_commit(guarded, "before"), pytest.raises(CommitOutcomeUnknown) as caught:
        record(history, lambda write: work.run(TRANSACTION.add, write))

    assert (caught.value.fate, caught.value.retryable) == ("not_applied", True)
    assert verify_commit(caught.value) == "aborted"
    assert guarded.check(history, TRANSACTION).holds
    assert verified() == ["aborted"]


@pytest.mark.scenario(6, databases=BOTH)
@pytest.mark.parametrize("kind", IN_TRANSACTIONS, ids=kind_name)
def test_a_commit_whose_answer_is_lost_is_not_repeated(guarded, history, kind):
    with cut_at_commit(guarded, "after"), capture_operations() as log, pytest.raises(CommitOutcomeUnknown):
        guarded.write(history, kind)

    assert [operation.attempts for operation in log] == [1]
    verdict = guarded.check(history, kind)
    assert verdict.holds
    assert (verdict.unknown, verdict.applied) == (1, 1)


@pytest.mark.scenario(6, databases=BOTH)
def test_nor_is_a_unit_of_work_or_a_block_of_django(guarded, history):
    calls = []

    def work(write):
        calls.append(write)
        AUDITED.add(write)
        AUDITED.add(write + "'")

    def within_django(write):
        with transaction.atomic(using=ALIAS):
            work(write)

    def within_the_repository(write):
        AUDITED.model.objects.atomic(retries=5, using=ALIAS).run(work, write)

    for write in (within_django, within_the_repository):
        guarded.proxy.cut_at_commit("after")
        with pytest.raises(CommitOutcomeUnknown):
            record(history, write)
    assert guarded.proxy.cuts == 2
    assert len(calls) == 2
    for write in calls:
        history.record(write + "'", "unknown")
    verdict = guarded.check(history, AUDITED)
    assert verdict.holds
    assert verdict.applied == 4


@pytest.mark.scenario(6, databases=BOTH)
def test_a_single_statement_whose_answer_is_lost_is_not_repeated(guarded, history):
    guarded.proxy.cut_at("INSERT", "after")

    with capture_operations() as log, pytest.raises(CommitOutcomeUnknown) as caught:
        guarded.write(history, STATEMENT)

    assert guarded.proxy.cuts == 1
    assert caught.value.fate == "unknown"
    assert [operation.attempts for operation in log] == [1]
    verdict = guarded.check(history)
    assert verdict.holds
    assert verdict.applied == 1


@pytest.mark.scenario(6)
@pytest.mark.parametrize("kind", KINDS, ids=kind_name)
def test_the_server_says_that_it_was_committed_and_all_is_well(guarded, history, kind, verified):
    work = kind.model.objects.atomic(retries=5, verify_commit=True, using=ALIAS)

    with cut_at_commit(guarded, "after"), capture_operations() as log:
        record(history, lambda write: work.run(kind.add, write))

    assert (log[-1].spec.name, log[-1].attempts, log[-1].error) == ("atomic", 1, None)
    verdict = guarded.check(history, kind)
    assert verdict.holds
    assert verdict.ok == 1
    assert verified() == ["committed"]


@pytest.mark.scenario(6)
def test_a_server_that_stays_away_cannot_be_asked_until_it_is_back(guarded, history, verified):
    work = Plain.objects.atomic(retries=5, verify_commit=True, using=ALIAS)

    def add(write):
        TRANSACTION.add(write)
        guarded.proxy.refuse()

    with cut_at_commit(guarded, "after"), pytest.raises(CommitOutcomeUnknown) as caught:
        record(history, lambda write: work.run(add, write))

    assert caught.value.fate == "unknown"
    assert verified() == ["unknown"]
    guarded.proxy.heal()
    guarded.forget()
    assert verify_commit(caught.value) == "committed"
    assert guarded.check(history, TRANSACTION).applied == 1


ENDS = {"postgres": "SELECT pg_terminate_backend(pg_backend_pid())", "mariadb": "KILL CONNECTION_ID()"}
ONE_STRING = "INSERT INTO testapp_plain (name) VALUES ('{0}'); COMMIT; {1}"


@pytest.mark.scenario(7, databases=BOTH)
@pytest.mark.parametrize("block", ["unit of work", "django", "none"])
def test_a_commit_and_the_end_of_the_session_in_one_string(guarded, history, block):
    """The error says that the statement was stopped, and part of it was committed (lib/pq#939)."""
    calls = []

    def send(write):
        calls.append(write)
        begin = "BEGIN; " if block == "none" else ""
        with connections[ALIAS].cursor() as cursor:
            cursor.execute(begin + ONE_STRING.format(write, ENDS[guarded.vendor]))
            while cursor.nextset():
                pass

    def save(write):
        if block == "unit of work":
            Plain.objects.atomic(retries=5, using=ALIAS).run(send, write)
        elif block == "django":
            with transaction.atomic(using=ALIAS):
                send(write)
        else:
            send(write)

    with pytest.raises(CommitOutcomeUnknown if block == "unit of work" else OperationalError):
        record(history, save)

    verdict = guarded.check(history, TRANSACTION)
    assert verdict.holds
    assert verdict.applied == 1
    assert len(calls) == 1


@pytest.mark.scenario(7, databases=BOTH)
@pytest.mark.parametrize("string", ["COMMIT", "INSERT INTO testapp_plain (name) VALUES ('x'); COMMIT"])
def test_nothing_is_repeated_after_a_commit_in_a_string(guarded, history, string):
    """Neither when its answer is lost nor when something fails after it."""
    calls = []

    def work(write):
        calls.append(write)
        TRANSACTION.add(write)
        with connections[ALIAS].cursor() as cursor:
            cursor.execute(string)
            while cursor.nextset():
                pass
        guarded.terminate()
        TRANSACTION.add(write)

    def save(write):
        Plain.objects.atomic(retries=5, using=ALIAS).run(work, write)

    with pytest.raises(CommitOutcomeUnknown):
        record(history, save)
    guarded.proxy.cut_at(r"COMMIT$", "after")
    with pytest.raises(CommitOutcomeUnknown):
        record(history, save)

    assert len(calls) == 2
    found = guarded.execute("SELECT name FROM testapp_plain WHERE name <> 'x'")
    verdict = history.check(name for (name,) in found)
    assert verdict.holds
    assert verdict.applied == 2
