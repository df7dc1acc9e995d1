"""Scenarios 27, 28 and 29: clocks that jump, processes that fork, and calls that somebody stops in the middle."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from datetime import datetime as real_datetime
from datetime import timedelta
from pathlib import Path

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from django_enterprise_repo.exceptions import CircuitOpenError
from django_enterprise_repo.policies import BreakerPolicy
from django_enterprise_repo.resilience import circuit, deadlines
from django_enterprise_repo.resilience.breakers import breaker
from django_enterprise_repo.resilience.budget import budget
from tests.faults import children, django_env
from tests.faults.processes import wait_until
from tests.faults.setups import ENGINES, guarded, postgres
from tests.needs import need
from tests.testapp.models import Plain

pytestmark = pytest.mark.usefixtures("databases")
PATIENCE = 60.0
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


@pytest.fixture
def settings(cluster, database):
    """The settings of a database with one row."""
    settings = postgres(database, cluster.port)
    with guarded(settings) as alias:
        django_env.create_tables(alias, Plain)
        Plain.objects.add(Plain(name="there"), using=alias)
    return settings


@pytest.fixture
def mariadb_settings(mariadb, mariadb_database):
    """The same in MariaDB."""
    settings = django_env.mariadb(mariadb_database, mariadb.port, engine=f"{ENGINES}.mysql")
    with guarded(settings) as alias:
        django_env.create_tables(alias, Plain)
        Plain.objects.add(Plain(name="there"), using=alias)
    return settings


def backend_of(alias):
    with connections[alias].cursor() as cursor:
        is_postgres = connections[alias].vendor == "postgresql"
        cursor.execute("SELECT pg_backend_pid()" if is_postgres else "SELECT connection_id()")
        return cursor.fetchone()[0]


def answer_of(pipe, process):
    """What the child sends; its own failure if it ends without a word."""
    wait_until(lambda: pipe.poll() or not process.is_alive(), PATIENCE, "the child answers")
    assert pipe.poll(), f"The child ended with {process.exitcode}."
    return pipe.recv()


@pytest.mark.scenario(27, databases=("postgres",))
@pytest.mark.parametrize("hours", [1, -1])
def test_a_jump_of_the_wall_clock_leaves_the_open_period_as_it_was(settings, monkeypatch, hours):
    jump = timedelta(hours=hours)

    class Jumped(real_datetime):
        @classmethod
        def now(cls, tz=None):
            return real_datetime.now(tz) + jump

    with guarded(settings, breaker=BreakerPolicy(reset_timeout=600.0, max_reset_timeout=600.0, jitter=0.0)) as alias:
        opened = breaker(alias)
        opened.open()
        before = opened.retry_after
        wall = time.time
        monkeypatch.setattr(time, "time", lambda: wall() + jump.total_seconds())
        monkeypatch.setattr(circuit, "datetime", Jumped)

        assert 0 < opened.retry_after <= before
        assert opened.snapshot().age >= 0
        with pytest.raises(CircuitOpenError) as rejection:
            Plain.objects.using(alias).count()
        assert 0 < rejection.value.retry_after <= before


def with_a_clock_that_jumps(alias, pipe, clock):
    """Open the circuit, let the wall clock jump, and see what of all this the circuit has noticed."""
    opened = breaker(alias)
    opened.open()
    before, wall = opened.retry_after, time.time()
    Path(clock).write_text("+1h" if pipe.recv() > 0 else "-1h")
    jumped = time.time() - wall
    after = opened.retry_after
    opened.close()
    pipe.send((before, after, jumped, Plain.objects.list(using=alias, deadline=30.0)[0].name))


@pytest.mark.scenario(27, databases=("postgres",))
@pytest.mark.parametrize("hours", [1, -1])
def test_a_whole_process_whose_clock_jumps_waits_as_long_as_before(settings, tmp_path, monkeypatch, hours):
    need(None if FAKETIME else "libfaketime is not installed (apt-get install faketime)")
    clock = tmp_path / "clock"
    clock.write_text("+0")
    monkeypatch.setenv("LD_PRELOAD", str(FAKETIME))
    monkeypatch.setenv("FAKETIME_TIMESTAMP_FILE", str(clock))
    monkeypatch.setenv("FAKETIME_NO_CACHE", "1")
    monkeypatch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")  # as an administrator's clock and NTP leave it alone
    here, there = children.pipe()
    policy = BreakerPolicy(reset_timeout=600.0, max_reset_timeout=600.0)
    process = children.spawn(f"{__name__}.with_a_clock_that_jumps", settings, there, str(clock), breaker=policy)
    here.send(hours)

    before, after, jumped, name = answer_of(here, process)

    process.join(PATIENCE)
    assert abs(jumped - hours * 3600) < 600
    assert 0 < after <= before
    assert name == "there"


def that_forks(alias, pipe, uses_pool):
    """Fork with a connection, the watchdog's thread, a probe under way and every lock of the process held."""
    Plain.objects.list(using=alias, deadline=30.0)
    backend = backend_of(alias)
    if uses_pool:
        connections[alias].close()  # gives it back
    circuit_of_parent = breaker(alias)
    circuit_of_parent.half_open()
    permit = circuit_of_parent.admit()
    held, release = threading.Event(), threading.Event()

    def hold():
        with circuit_of_parent._lock, budget._lock, deadlines._watchdog._condition:
            held.set()
            release.wait(PATIENCE)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(PATIENCE)
    child = os.fork()
    if child == 0:
        signal.alarm(int(PATIENCE))  # one that hangs is ended by the kernel
        name = Plain.objects.add(Plain(name="child"), using=alias, deadline=30.0).name
        pipe.send((name, backend_of(alias), breaker(alias).current_state))
        connections.close_all()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    release.set()
    holder.join()
    circuit_of_parent.settle(permit, "void")
    names = sorted(row.name for row in Plain.objects.list(using=alias))
    pipe.send((status, names, backend, backend_of(alias), circuit_of_parent.current_state))


def fork_and_compare(settings, *, uses_pool=False):
    here, there = children.pipe()
    policy = BreakerPolicy(permits=1, probe_timeout=600.0)
    process = children.spawn(f"{__name__}.that_forks", settings, there, uses_pool, breaker=policy)

    name, backend_of_child, state_of_child = answer_of(here, process)
    status, names, before, after, state = answer_of(here, process)

    process.join(PATIENCE)
    assert (name, state_of_child) == ("child", "closed")  # the parent's probe was none of its business
    assert backend_of_child not in (before, after)
    assert status == 0
    assert (names, state) == (["child", "there"], "closed")
    assert before == after  # and the child's end has not ended it


@pytest.mark.scenario(28, databases=("postgres",))
@pytest.mark.parametrize("uses_pool", [False, True], ids=["connection", "pool"])
def test_a_forked_child_works_with_connections_and_locks_of_its_own(settings, uses_pool):
    if uses_pool:
        settings["OPTIONS"]["pool"] = {"min_size": 1, "max_size": 1, "timeout": 10}
    fork_and_compare(settings, uses_pool=uses_pool)


@pytest.mark.scenario(28, databases=("mariadb",))
def test_a_forked_child_of_a_client_of_mariadb_does_so_too(mariadb_settings):
    fork_and_compare(mariadb_settings)


@pytest.fixture
def locked(cluster, database):
    """Nobody can read the table until the function it answers is called."""
    with cluster.connect(database, autocommit=False) as connection:
        connection.execute("LOCK TABLE testapp_plain")
        yield connection.rollback


def waits(cluster, alias):
    return any(backend.wait_event_type == "Lock" for backend in cluster.backends(alias))


@pytest.mark.scenario(29, databases=("postgres",))
@pytest.mark.parametrize("verb", ["aget", "alist"])
def test_a_cancelled_task_gives_its_permit_back_and_has_no_vote_against_the_database(settings, cluster, locked, verb):
    async def call(alias):
        if verb == "aget":
            return [await Plain.objects.using(alias).aget(name="there")]
        return await Plain.objects.alist(using=alias)

    async def cancelled_and_again(alias):
        task = asyncio.create_task(call(alias))
        while not waits(cluster, alias):
            assert not task.done(), task
            await asyncio.sleep(0.02)
        task.cancel()
        locked()  # the thread that the task has left behind can finish
        with pytest.raises(asyncio.CancelledError):
            await task
        try:
            return await call(alias)
        finally:
            await sync_to_async(forget)(alias)

    def forget(alias):
        """The thread goes on for all tests, and would go on with this connection."""
        connections[alias].close()
        del connections[alias]

    with guarded(settings, breaker=BreakerPolicy(fail_max=1, permits=1, probe_timeout=600.0)) as alias:
        breaker(alias).half_open()
        (row,) = asyncio.run(cancelled_and_again(alias))

        assert row.name == "there"
        assert breaker(alias).is_closed
        assert breaker(alias).snapshot().opened == 0


def that_is_interrupted(alias, pipe):
    """Read what is locked until Ctrl+C, and say how things are then; and once more when there is no lock."""
    breaker(alias).half_open()
    try:
        Plain.objects.using(alias).count()
    except KeyboardInterrupt:
        snapshot = breaker(alias).snapshot()
        pipe.send((snapshot.state, snapshot.opened, snapshot.rejected, connections[alias].connection is None))
    pipe.recv()
    count = Plain.objects.using(alias).count()
    pipe.send((count, breaker(alias).current_state))


@pytest.mark.scenario(29, databases=("postgres",))
def test_the_keyboard_interrupts_a_read_and_leaves_a_process_that_goes_on(settings, cluster, locked):
    here, there = children.pipe()
    policy = BreakerPolicy(fail_max=1, permits=1, probe_timeout=600.0)
    process = children.spawn(f"{__name__}.that_is_interrupted", settings, there, breaker=policy)
    wait_until(lambda: waits(cluster, "guarded") or not process.is_alive(), PATIENCE, "the child reads")
    os.kill(process.pid, signal.SIGINT)

    assert answer_of(here, process) == ("half-open", 0, 0, True)

    locked()
    here.send("go on")
    assert answer_of(here, process) == (1, "closed")
    process.join(PATIENCE)
