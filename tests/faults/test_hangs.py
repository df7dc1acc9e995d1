"""Silence: servers that are frozen, packets that get lost, connections that are slow or cut in the middle."""

from __future__ import annotations

from concurrent.futures import TimeoutError as NotYet

import pytest
from django.db import transaction

from django_enterprise_repo.exceptions import CircuitOpenError, QueryTimeout, RepositoryUnavailable
from django_enterprise_repo.policies import BreakerPolicy, RetryPolicy
from django_enterprise_repo.testing import capture_operations
from tests.faults.firewall import Firewall, why_no_firewall
from tests.faults.guarded import ALIAS, BOTH, KINDS, PATIENCE, STATEMENT, TRANSACTION, counts, in_background
from tests.faults.history import recovery_time
from tests.faults.processes import wait_until
from tests.needs import need
from tests.testapp.models import Category


def kind_name(kind):
    return kind.model.__name__


@pytest.fixture
def wire(guarded):
    """Rules for the packets between the application and the server."""
    need(why_no_firewall())
    guarded.configure(direct=True)
    with Firewall(guarded.server.port) as firewall:
        yield firewall


@pytest.mark.scenario(11, databases=BOTH)
@pytest.mark.parametrize("accepts", [False, True], ids=["accept queue", "accepted"])
def test_a_server_that_never_answers_a_connect(guarded, history, accepts):
    """``connect_timeout`` ends it, and it counts as a failure. Nothing was written."""
    guarded.policies(retry=None)
    guarded.configure(connect_timeout=2)
    guarded.proxy.deaf(accepts=accepts)

    with pytest.raises(RepositoryUnavailable) as caught:
        guarded.write(history)

    assert (caught.value.kind, caught.value.fate) == ("connection", "not_applied")
    assert counts(guarded.circuit) == {"calls": 1, "failures": 1, "slow": 0, "fail_counter": 1}
    guarded.proxy.heal()
    guarded.write(history)
    assert guarded.check(history).holds


@pytest.mark.scenario(11, databases=BOTH)
def test_a_deadline_ends_a_connect_that_the_driver_would_wait_for(guarded, history):
    guarded.configure(connect_timeout=5)
    guarded.proxy.deaf()

    with in_background(lambda: guarded.write(history, deadline=0.5)) as writing, pytest.raises(QueryTimeout) as caught:
        writing.result(4)  # connecting goes on in a thread of its own, which has 5 seconds

    assert (caught.value.kind, caught.value.fate) == ("deadline", "not_applied")
    assert counts(guarded.circuit)["failures"] == 1
    guarded.proxy.heal()
    guarded.write(history)
    assert guarded.check(history).holds


@pytest.mark.scenario(12)
def test_a_timeout_of_the_server_s_own_does_not_help_while_it_is_frozen(guarded):
    guarded.configure(options="-c statement_timeout=300")

    with guarded.held(Category) as release, in_background(lambda: Category.objects.using(ALIAS).count()) as counting:
        (frozen,) = guarded.wait_for_waiting()
        guarded.server.suspend(frozen)
        release()
        with pytest.raises(NotYet):
            counting.result(2)
        guarded.server.resume(frozen)
        assert counting.exception(PATIENCE) is None or isinstance(counting.exception(), QueryTimeout)


@pytest.mark.scenario(12, databases=BOTH)
@pytest.mark.parametrize("kind", KINDS, ids=kind_name)
def test_a_deadline_frees_the_thread_of_a_server_that_froze(guarded, history, kind):
    with guarded.held(kind.model) as release:
        with in_background(lambda: guarded.write(history, kind, deadline=4)) as writing:
            (waiting,) = guarded.wait_for_waiting()
            frozen = waiting if guarded.vendor == "postgres" else None  # MariaDB has no process for each session
            guarded.server.suspend(frozen)
            release()
            error = writing.exception(PATIENCE)
            if guarded.vendor == "postgres":  # the others work
                assert Category.objects.using(ALIAS).count() == 0
        guarded.server.resume(frozen)

    assert isinstance(error, QueryTimeout)
    assert (error.kind, error.fate) == ("deadline", "unknown" if kind is STATEMENT else "not_applied")
    state = counts(guarded.circuit)
    assert (state["failures"], state["slow"]) == (0, 1)
    guarded.write(history, kind)
    wait_until(lambda: len(guarded.sessions()) == 1, PATIENCE, "the session that was cut is over")
    assert guarded.check(history, kind).holds


@pytest.mark.scenario(13)
def test_a_frozen_postmaster_lets_nobody_in_and_whoever_is_in_goes_on(guarded, history):
    guarded.policies(retry=None)
    guarded.configure(connect_timeout=2)
    guarded.write(history)
    guarded.server.suspend()

    for connect in (lambda: guarded.write(history, deadline=0.5), lambda: guarded.write(history)) * 3:
        with in_background(connect) as connecting:
            error = connecting.exception(PATIENCE)
        assert isinstance(error, QueryTimeout | RepositoryUnavailable)
        assert error.fate == "not_applied"
        guarded.write(history)

    assert guarded.circuit.is_closed  # there was never a failure without an answer after it
    guarded.server.resume()
    verdict = guarded.check(history)
    assert verdict.holds
    assert (verdict.ok, verdict.failed) == (7, 6)


@pytest.mark.scenario(13)
def test_a_transaction_goes_on_while_the_circuit_is_open_for_those_who_want_in(guarded, history):
    guarded.policies(retry=None, breaker=BreakerPolicy(fail_max=2, reset_timeout=60))
    with transaction.atomic(using=ALIAS):
        guarded.write(history, TRANSACTION)
        guarded.server.suspend()
        for _ in range(2):
            with in_background(lambda: guarded.write(history, TRANSACTION, deadline=0.5)) as connecting:
                assert isinstance(connecting.exception(), QueryTimeout)
        assert guarded.circuit.current_state == "open"
        guarded.write(history, TRANSACTION)

    with pytest.raises(CircuitOpenError):
        guarded.write(history, TRANSACTION)
    guarded.server.resume()
    guarded.circuit.close()
    guarded.write(history, TRANSACTION)
    verdict = guarded.check(history, TRANSACTION)
    assert verdict.holds
    assert (verdict.ok, verdict.failed) == (3, 3)


BOUNDS = {
    "postgres": {"keepalives_idle": 1, "keepalives_interval": 1, "keepalives_count": 2, "tcp_user_timeout": 2000},
    "mariadb": {"read_timeout": 2},
}


@pytest.mark.scenario(14, databases=BOTH)
@pytest.mark.parametrize("bound", ["transport", "deadline"])
@pytest.mark.parametrize("kind", [STATEMENT, TRANSACTION], ids=kind_name)
def test_packets_get_lost_in_the_middle_of_a_statement(guarded, history, wire, kind, bound):
    guarded.policies(retry=None)
    options = {"deadline": 3} if bound == "deadline" else {}
    if bound == "transport":
        guarded.configure(**BOUNDS[guarded.vendor])

    with guarded.held(kind.model), in_background(lambda: guarded.write(history, kind, **options)) as writing:
        guarded.wait_for_waiting()
        wire.drop()
        error = writing.exception(PATIENCE)
        wire.heal()

    assert isinstance(error, QueryTimeout if bound == "deadline" else RepositoryUnavailable)
    assert error.fate == ("unknown" if kind is STATEMENT else "not_applied")
    guarded.write(history, kind)
    wait_until(lambda: len(guarded.sessions()) == 1, PATIENCE, "the lost session is over")
    verdict = guarded.check(history, kind)
    assert verdict.holds
    assert verdict.ok == 1


@pytest.mark.scenario(15, databases=BOTH)
def test_connections_are_reset(guarded, history, wire):
    guarded.policies(
        retry=RetryPolicy(attempts=50, deadline=PATIENCE), breaker=BreakerPolicy(fail_max=10, reset_timeout=0.5)
    )
    guarded.write(history, TRANSACTION)
    wire.reject()

    with in_background(lambda: guarded.write(history, TRANSACTION)) as connecting, capture_operations() as log:
        wait_until(lambda: guarded.circuit.fail_counter >= 2, PATIENCE, "it was refused twice")
        with in_background(lambda: Category.objects.using(ALIAS).count()) as reading:
            wait_until(lambda: guarded.circuit.fail_counter >= 4, PATIENCE, "both were refused")
            wire.heal()
            assert reading.result(PATIENCE) == 0
        connecting.result(PATIENCE)

    assert all(operation.attempts > 1 for operation in log)
    guarded.write(history, TRANSACTION)  # on the connection that the reset has ended
    verdict = guarded.check(history, TRANSACTION)
    assert verdict.holds
    assert verdict.ok == 3
    guarded.terminate()  # the server was told nothing


@pytest.mark.scenario(16)
def test_slow_answers_open_the_circuit_and_are_no_failures(guarded):
    guarded.policies(
        breaker=BreakerPolicy(slow_call=0.25, minimum_calls=4, reset_timeout=0.5, max_reset_timeout=1, window=60)
    )
    assert Category.objects.using(ALIAS).count() == 0
    guarded.proxy.latency(0.3, jitter=0.1)

    answered = 0
    with pytest.raises(CircuitOpenError):
        while answered < 10:
            assert Category.objects.using(ALIAS).count() == 0
            answered += 1

    assert answered >= 3
    state = guarded.circuit.snapshot()
    assert (state.fail_counter, state.opened) == (0, 1)
    guarded.proxy.heal()
    recovery_time(lambda: Category.objects.using(ALIAS).count(), PATIENCE, errors=(CircuitOpenError,))
    wait_until(lambda: guarded.circuit.is_closed, 0, "the circuit is closed")


def some_rows(n):
    Category.objects.add_all([Category(name=f"{i:05}" + "x" * 40) for i in range(n)], using=ALIAS)


@pytest.mark.scenario(17)
@pytest.mark.parametrize("within", ["autocommit", "transaction"])
def test_a_stream_that_is_cut_says_so(guarded, within):
    """What was handed out is a beginning of the truth, and nobody may take it for the whole."""
    some_rows(2000)
    rows = []

    def read():
        for category in Category.objects.stream(chunk_size=100, using=ALIAS):
            rows.append(category.name[:5])
            if len(rows) == 250:  # in the third chunk
                guarded.proxy.cut_after(2500, "downstream")

    def read_in_transaction():
        with transaction.atomic(using=ALIAS):
            read()

    with capture_operations() as log, pytest.raises(RepositoryUnavailable) as caught:
        read_in_transaction() if within == "transaction" else read()

    assert caught.value.fate == "not_applied"
    assert guarded.proxy.cuts == 1
    assert [operation.attempts for operation in log] == [1]
    assert 250 <= len(rows) < 2000
    assert rows == [f"{i:05}" for i in range(len(rows))]
    assert Category.objects.using(ALIAS).count() == 2000


@pytest.mark.scenario(17, databases=BOTH)
def test_a_list_that_is_cut_is_read_again(guarded):
    some_rows(2000)
    guarded.proxy.cut_after(30_000, "downstream")

    with capture_operations() as log:
        rows = Category.objects.list(order_by=["id"], using=ALIAS)

    assert guarded.proxy.cuts == 1
    assert log[-1].attempts == 2
    assert [row.name[:5] for row in rows] == [f"{i:05}" for i in range(2000)]


@pytest.mark.scenario(17, databases=["mariadb"])
def test_a_stream_by_keys_goes_on_where_it_was_cut(guarded):
    some_rows(2000)
    rows = []

    for category in Category.objects.stream(chunk_size=100, using=ALIAS):
        rows.append(category.name[:5])
        if len(rows) == 250:
            guarded.proxy.cut_after(2500, "downstream")

    assert guarded.proxy.cuts == 1
    assert rows == [f"{i:05}" for i in range(2000)]
