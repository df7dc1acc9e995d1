"""Scenarios 30 and 31: who may try a database that was away, and one that comes and goes."""

from __future__ import annotations

import threading
import time
from itertools import pairwise

import pytest

from django_enterprise_repo.exceptions import CircuitOpenError, RepositoryUnavailable
from django_enterprise_repo.policies import BreakerPolicy, RetryPolicy
from django_enterprise_repo.resilience.breakers import breaker
from tests.faults import django_env
from tests.faults.processes import wait_until
from tests.faults.setups import guarded, in_threads, postgres, write
from tests.testapp.models import Plain, Tag

pytestmark = pytest.mark.usefixtures("databases")
ONCE = RetryPolicy(attempts=1)


@pytest.fixture
def settings(cluster, database):
    settings = postgres(database, cluster.port)
    with guarded(settings) as alias:
        django_env.create_tables(alias, Plain, Tag)
        Plain.objects.add(Plain(name="there"), using=alias)
    return settings


@pytest.fixture
def locked(cluster, settings):
    """Whoever reads the table hangs until the function it answers is called."""
    with cluster.connect(settings["NAME"], autocommit=False) as connection:
        connection.execute("LOCK TABLE testapp_plain")
        yield connection.rollback


def hanging(cluster, alias):
    return sum(backend.wait_event_type == "Lock" for backend in cluster.backends(alias))


@pytest.mark.scenario(30, databases=("postgres",))
@pytest.mark.parametrize("permits", [1, 3])
def test_of_fifty_threads_only_the_permitted_probes_reach_the_database(cluster, settings, locked, permits):
    found, rejected = [], []

    def read(number):
        if number == 0:
            wait_until(lambda: len(rejected) == 50 - permits, 60, "the others are rejected")
            wait_until(lambda: hanging(cluster, alias) == permits, 60, "all probes are with the database")
            locked()
            return
        try:
            found.extend(row.name for row in Plain.objects.list(using=alias))
        except CircuitOpenError as rejection:
            rejected.append(rejection)

    policy = BreakerPolicy(permits=permits, success_threshold=permits, probe_timeout=600.0)
    with guarded(settings, breaker=policy, retry=ONCE) as alias:
        breaker(alias).half_open()
        in_threads(51, read)

        assert found == ["there"] * permits
        assert breaker(alias).snapshot().rejected == len(rejected) == 50 - permits
        assert breaker(alias).is_closed


@pytest.mark.scenario(30, databases=("postgres",))
def test_a_probe_that_hangs_loses_its_permit_to_the_next_and_then_its_vote(cluster, settings, locked):
    policy = BreakerPolicy(permits=1, success_threshold=2, probe_timeout=0.5)
    with guarded(settings, breaker=policy, retry=ONCE) as alias:
        breaker(alias).half_open()

        def read(number):
            if number == 0:
                Plain.objects.using(alias).count()  # hangs
                return
            try:
                wait_until(lambda: hanging(cluster, alias) == 1, 60, "the first probe hangs")
                wait_until(answered, 60, "another one is admitted")
            finally:
                locked()

        def answered():
            try:
                return Tag.objects.using(alias).count() == 0
            except CircuitOpenError:
                return False

        in_threads(2, read)

        # The first probe has its answer by now, and no vote: another success is missing.
        assert breaker(alias).current_state == "half-open"
        assert breaker(alias).success_counter == 1
        assert Plain.objects.using(alias).count() == 1
        assert breaker(alias).is_closed


@pytest.mark.scenario(31, databases=("postgres",))
def test_a_database_that_comes_and_goes_is_tried_ever_more_rarely(cluster, settings, proxy, history, caplog):
    policy = BreakerPolicy(fail_max=2, reset_timeout=0.1, max_reset_timeout=1.6, jitter=0.0, window=300.0)
    wrong: list[object] = []
    done = threading.Event()

    def work(number):
        if number == 0:
            flap()
        while not done.is_set():
            refusal = write(history, alias)
            if refusal is not None and not isinstance(refusal, RepositoryUnavailable):
                wrong.append(refusal)
            try:
                found = Plain.objects.list({"name": "there"}, using=alias)
            except RepositoryUnavailable:
                time.sleep(0.01)
            else:
                if [row.name for row in found] != ["there"]:
                    wrong.append(found)

    def flap():
        try:
            for _ in range(40):
                proxy.refuse()
                proxy.reset()
                time.sleep(0.3)
                proxy.heal()
                time.sleep(0.3)
                if len(periods(caplog)) >= 6:
                    return
        finally:
            done.set()

    through_proxy = {**settings, "PORT": str(proxy.port)}
    with guarded(through_proxy, breaker=policy) as alias:
        accepted = proxy.accepted
        in_threads(8, work)
        wait_until(lambda: write(history, alias) is None, 60, "it recovers")
        calls, connects = len(history.outcomes()), proxy.accepted - accepted
        names = [row.name for row in Plain.objects.list({"name": {"ne": "there"}}, using=alias)]

    told = periods(caplog)
    assert told[0] == 0.1
    assert all(later == min(2 * earlier, 1.6) for earlier, later in pairwise(told)), told
    assert len(told) >= 6
    assert wrong == []
    assert history.check(names).holds
    assert connects < calls


def periods(caplog):
    """How long the circuit said that it would stay open, each time that it opened."""
    return [record.retry_after for record in caplog.records if record.message == "circuit_opened"]
