"""Sessions that end: one that is idle, one that works, one inside a transaction, all of them at once."""

from __future__ import annotations

import pytest
from django.db import transaction

from django_enterprise_repo.exceptions import CommitOutcomeUnknown, RepositoryUnavailable
from django_enterprise_repo.policies import BreakerPolicy, RetryPolicy
from django_enterprise_repo.testing import capture_operations
from tests.faults.guarded import ALIAS, BOTH, KINDS, STATEMENT, TRANSACTION, counts, in_background, record
from tests.testapp.models import Category, Plain


def kind_name(kind):
    return kind.model.__name__


def begun_by_django(work):
    with transaction.atomic(using=ALIAS):
        work()


def begun_by_the_repository(work):
    Plain.objects.atomic(using=ALIAS).run(work)


@pytest.mark.scenario(1)
def test_a_backend_that_is_killed_takes_all_others_along(guarded):
    guarded.policies(retry=RetryPolicy(attempts=20, deadline=60), breaker=BreakerPolicy(reset_timeout=0.5))
    STATEMENT.add("before")
    with in_background(lambda: Category.objects.using(ALIAS).count()) as other:
        assert other.result() == 1
    assert len(guarded.sessions()) == 2

    guarded.server.kill(guarded.own_session())
    with capture_operations() as log:
        assert Category.objects.using(ALIAS).count() == 1

    assert log[0].attempts > 1
    assert set(log[0].retried_for) <= {"connection", "shutdown", "circuit_open"}


@pytest.mark.scenario(2, databases=BOTH)
def test_an_idle_session_is_ended_and_a_read_notices_nothing(guarded):
    STATEMENT.add("before")
    guarded.terminate()

    with capture_operations() as log:
        assert [category.name for category in Category.objects.list(using=ALIAS)] == ["before"]

    assert log[0].attempts == 2
    assert guarded.circuit.is_closed


@pytest.mark.scenario(2, databases=BOTH)
@pytest.mark.parametrize("kind", KINDS, ids=kind_name)
def test_an_idle_session_is_ended_and_no_write_is_doubled(guarded, history, kind):
    """Made again where the server says that it did nothing, or where the transaction had not even begun."""
    kind.add("before")
    history.record("before", "ok")
    guarded.terminate()

    if guarded.vendor == "mariadb" and kind is STATEMENT:
        with pytest.raises(CommitOutcomeUnknown):
            guarded.write(history, kind)
    else:
        guarded.write(history, kind)

    verdict = guarded.check(history, kind)
    assert verdict.holds
    assert verdict.applied == 0


@pytest.mark.scenario(3, databases=BOTH)
def test_a_session_is_ended_in_the_middle_of_a_read(guarded):
    STATEMENT.add("before")

    with (
        guarded.held(Category) as release,
        capture_operations() as log,
        in_background(lambda: Category.objects.list(using=ALIAS)) as reading,
    ):
        guarded.terminate(*guarded.wait_for_waiting())
        release()
        assert [category.name for category in reading.result()] == ["before"]

    assert log[0].attempts == 2
    assert counts(guarded.circuit) == {"calls": 3, "failures": 1, "slow": 0, "fail_counter": 0}


@pytest.mark.scenario(3, databases=BOTH)
@pytest.mark.parametrize("kind", KINDS, ids=kind_name)
def test_a_session_is_ended_in_the_middle_of_a_write(guarded, history, kind):
    """Made again where the server says that it did nothing, or where there was a transaction and no COMMIT yet."""
    with guarded.held(kind.model) as release, in_background(lambda: guarded.write(history, kind)) as writing:
        guarded.terminate(*guarded.wait_for_waiting())
        release()
        error = writing.exception()

    if guarded.vendor == "mariadb" and kind is STATEMENT:
        assert isinstance(error, CommitOutcomeUnknown)
    else:
        assert error is None
    verdict = guarded.check(history, kind)
    assert verdict.holds
    assert verdict.applied == 0


@pytest.mark.scenario(4, databases=BOTH)
@pytest.mark.parametrize("stays_away", [False, True], ids=["comes back", "stays away"])
@pytest.mark.parametrize("begin", [begun_by_django, begun_by_the_repository])
def test_a_session_is_ended_in_the_middle_of_a_transaction(guarded, history, begin, stays_away):
    """The error that broke it comes out, not that of connecting anew; nothing is repeated, and it counts once."""
    calls = []

    def work(write):
        calls.append(write)
        TRANSACTION.add(write)
        guarded.terminate(guarded.own_session())
        if stays_away:
            guarded.proxy.refuse()
        TRANSACTION.add(write)

    with pytest.raises(RepositoryUnavailable) as caught:
        record(history, lambda write: begin(lambda: work(write)))

    error = caught.value
    assert len(calls) == 1
    assert error.kind == ("shutdown" if guarded.vendor == "postgres" else "connection")
    assert error.fate == "not_applied"
    assert counts(guarded.circuit)["failures"] == 1
    guarded.proxy.heal()
    assert guarded.check(history, TRANSACTION).holds
    assert Plain.objects.using(ALIAS).count() == 0
