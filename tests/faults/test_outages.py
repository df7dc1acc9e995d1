"""Servers that go away for a while, and applications that go on without being started again."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.db import connections
from django.test import RequestFactory
from django.urls import resolve

from django_enterprise_repo.exceptions import CircuitOpenError, RepositoryDatabaseError
from django_enterprise_repo.policies import BreakerPolicy, RetryPolicy
from django_enterprise_repo.resilience.breakers import circuit_state_changed, reset_breakers
from django_enterprise_repo.testing import capture_operations
from tests.faults.guarded import ALIAS, AUDITED, BOTH, PATIENCE, in_background, record
from tests.faults.processes import wait_until
from tests.testapp.models import Account, Category, Entry

ROOT = Path(__file__).parents[2]
N_THREADS = 20


class Load:
    """Threads that read and write until they are told to stop, and what they were told."""

    def __init__(self, guarded, history):
        self._guarded, self._history = guarded, history
        self._stop = threading.Event()
        self.rejection_times = []
        self.wrong_answers = []
        self.last_success = {}
        self.errors = Counter()

    def work(self, n):
        while not self._stop.is_set():
            began = time.thread_time()
            try:
                self._step()
            except CircuitOpenError:
                self.rejection_times.append(time.thread_time() - began)
            except RepositoryDatabaseError as error:
                self.errors[error.kind] += 1
            else:
                self.last_success[n] = time.monotonic()
            time.sleep(0.05)

    def _step(self):
        written = []

        def save(write):
            AUDITED.add(write)
            written.append(write)

        record(self._history, save)
        if Entry.objects.using(ALIAS).filter(text=written[0]).count() != 1:
            self.wrong_answers.append(written[0])

    def __enter__(self):
        self._pool = ThreadPoolExecutor(N_THREADS)
        self._works = [self._pool.submit(self.work, n) for n in range(N_THREADS)]
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._pool.shutdown()
        for work in self._works:
            work.result()

    def all_succeeded_since(self, moment):
        return sum(at > moment for at in self.last_success.values()) == N_THREADS


@pytest.fixture
def state_changes():
    """The states that circuits have come into."""
    changes = []

    def note(sender, new, **_):
        changes.append(new)

    circuit_state_changed.connect(note)
    yield changes
    circuit_state_changed.disconnect(note)


def stop(server):
    server.stop("immediate") if hasattr(server, "standby") else server.kill()


@pytest.mark.scenario(8, databases=BOTH)
def test_a_server_goes_down_under_load_and_everybody_recovers(guarded, history, state_changes):
    policy = BreakerPolicy(fail_max=5, reset_timeout=0.5, max_reset_timeout=1)
    guarded.policies(breaker=policy)
    with Load(guarded, history) as load:
        wait_until(lambda: load.all_succeeded_since(0), PATIENCE, "all have begun")
        stop(guarded.server)
        wait_until(lambda: guarded.circuit.current_state == "open", PATIENCE, "the circuit is open")
        time.sleep(1)  # for those who were on their way
        rejected, accepted, probes = len(load.rejection_times), guarded.proxy.accepted, state_changes.count("half-open")
        time.sleep(4)
        accepted, probes = guarded.proxy.accepted - accepted, state_changes.count("half-open") - probes
        rejected = len(load.rejection_times) - rejected
        guarded.server.start()
        healed = time.monotonic()
        wait_until(lambda: load.all_succeeded_since(healed), PATIENCE, "all have recovered")

    assert abs(accepted - probes) <= 1  # one connect for each half-open circuit, and the moments were not the same
    assert 2 <= probes <= 9
    assert rejected > 10 * accepted
    rejections = sorted(load.rejection_times)
    assert rejections[len(rejections) // 2] < 0.005  # of this thread's own time: others want the processor, too
    assert not load.wrong_answers
    assert guarded.circuit.is_closed
    verdict = guarded.check(history, AUDITED)
    assert verdict.holds
    assert verdict.ok >= 2 * N_THREADS
    assert history.recovery(healed) < PATIENCE


@pytest.mark.scenario(9)
def test_a_call_waits_for_a_server_that_stops_and_starts(guarded, history):
    """A smart stop turns newcomers away with 57P03, then the port is closed, then it starts."""
    guarded.policies(
        retry=RetryPolicy(attempts=1000, deadline=2 * PATIENCE, wait=0.2), breaker=BreakerPolicy(reset_timeout=0.5)
    )
    with guarded.server.connect() as last_client:
        guarded.server.stop("smart", wait=False)
        with capture_operations() as log, in_background(lambda: guarded.write(history)) as writing:
            wait_until(lambda: guarded.circuit.fail_counter >= 1, PATIENCE, "it was turned away")
            last_client.close()
            guarded.server.wait_until_stopped()
            guarded.server.start()
            writing.result(2 * PATIENCE)

    assert log[0].retried_for[0] == "shutdown"
    assert guarded.check(history).ok == 1


@pytest.mark.scenario(9)
def test_a_fast_stop_ends_everybody_and_nobody_notices_later(guarded, history):
    guarded.policies(retry=RetryPolicy(attempts=1000, deadline=2 * PATIENCE), breaker=BreakerPolicy(reset_timeout=0.5))
    guarded.write(history)
    guarded.server.stop("fast")
    with in_background(lambda: guarded.write(history)) as other:
        guarded.server.start()
        guarded.write(history)
        other.result(2 * PATIENCE)

    assert guarded.check(history).ok == 3


BOOT = """
import sys, django, traceback
django.setup()
from django.core.management import call_command
from django.http import HttpResponse
from django.test import RequestFactory
from django_enterprise_repo.exceptions import RepositoryUnavailable
from tests.testapp.models import Category

call_command("check")
assert (lambda request: HttpResponse("alive"))(RequestFactory().get("/")).status_code == 200
try:
    Category.objects.count()
except RepositoryUnavailable as error:
    print(error.kind, error.fate, flush=True)
assert sys.stdin.readline() == "it is up\\n"
print(Category.objects.count(), flush=True)
"""


@pytest.mark.scenario(10, databases=BOTH)
def test_django_starts_while_the_database_is_down(guarded):
    guarded.server.stop()
    urls = {"postgres": "postgres://postgres@", "mariadb": "mysql://root@"}
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "REPO_DATABASE": guarded.vendor,
        f"REPO_{guarded.vendor.upper()}_URL": f"{urls[guarded.vendor]}127.0.0.1:{guarded.server.port}/{guarded.name}",
    }
    with subprocess.Popen(
        [sys.executable, "-c", BOOT], cwd=ROOT, env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        told = process.stdout.readline()
        if told:
            guarded.server.start()
        output, errors = process.communicate("it is up\n", timeout=2 * PATIENCE)

    assert (told, output) == ("connection not_applied\n", "0\n"), errors
    assert process.returncode == 0


@pytest.mark.scenario(20)
@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_pool_of_stale_connections_costs_one_attempt(guarded, history, mode):
    guarded.configure(pool={"min_size": 10, "max_size": 10, "timeout": PATIENCE})
    guarded.write(history)
    wait_until(lambda: len(guarded.sessions()) == 10, PATIENCE, "the pool is full")
    connections[ALIAS].close()  # back into the pool
    guarded.server.stop(mode)
    guarded.server.start()

    with capture_operations() as log:
        for _ in range(20):
            Category.objects.using(ALIAS).count()
            guarded.write(history)
            connections[ALIAS].close()

    assert log[0].attempts == 2
    assert {operation.attempts for operation in log[1:]} == {1}
    verdict = guarded.check(history)
    assert verdict.holds
    assert verdict.ok == 21
    wait_until(lambda: len(guarded.sessions()) == 10, PATIENCE, "the pool is full again")


def ask(method, url):
    """Status and content of an answer. Not by Django's test client: it raises the errors of other threads' requests."""
    view, args, kwargs = resolve(url)
    response = view(RequestFactory().generic(method, url), *args, **kwargs)
    return response.status_code, json.loads(response.content)


class Visitors:
    """Threads that ask the application of ``views.py``, and what it answered."""

    def __init__(self, history, accounts):
        self._history, self._accounts = history, accounts
        self._stop = threading.Event()
        self.lies = []
        self.outages = Counter()
        self.last_answer = {}

    def visit(self, n):
        known = []
        while not self._stop.is_set():
            for step in (self._add, self._look, self._move, self._sum):
                try:
                    step(known)
                except RepositoryDatabaseError as error:  # what an application without a handler answers by 500
                    self.outages[error.kind] += 1
                else:
                    self.last_answer[n, step.__name__] = time.monotonic()
            time.sleep(0.01)

    def _add(self, known):
        def save(write):
            assert ask("POST", f"/entries/{write}/add")[0] == 201
            known.append(write)

        record(self._history, save)

    def _look(self, known):
        for write in known[-1:]:
            _, answer = ask("GET", f"/entries/{write}")
            if answer != {"rows": 1, "history": 1}:
                self.lies.append((write, answer))

    def _move(self, known):
        source, target = random.sample(self._accounts, 2)
        ask("POST", f"/transfers/{source}/{target}")

    def _sum(self, known):
        _, answer = ask("GET", "/total")
        if answer != {"total": 100 * len(self._accounts)}:
            self.lies.append(("total", answer))

    def __enter__(self):
        self._pool = ThreadPoolExecutor(4)
        self._visits = [self._pool.submit(self.visit, n) for n in range(4)]
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._pool.shutdown()
        for visit in self._visits:
            visit.result()

    def all_answered_since(self, moment):
        return sum(at > moment for at in self.last_answer.values()) == 4 * 4


@pytest.fixture
def application(guarded, databases, settings):
    """``guarded`` as the database of a project that knows no other, with four accounts of 100 each."""
    settings.ROOT_URLCONF = "tests.faults.views"
    settings.DEBUG = False
    guarded.policies(breaker=BreakerPolicy(reset_timeout=0.5))
    with databases({"default": guarded.settings}):
        yield [Account.objects.add(Account(name=str(n), size=100)).pk for n in range(4)]
    reset_breakers()


@pytest.mark.scenario(9, databases=BOTH)
def test_an_ordinary_application_survives_restarts_without_one_wrong_answer(guarded, history, application):
    with Visitors(history, application) as visitors:
        wait_until(lambda: visitors.all_answered_since(0), PATIENCE, "all are served")
        for _ in range(2):
            guarded.server.stop()
            time.sleep(1)
            guarded.server.start()
            healed = time.monotonic()
            wait_until(lambda: visitors.all_answered_since(healed), PATIENCE, "all are served again")  # noqa: B023

    assert not visitors.lies
    assert visitors.outages  # there was something to survive
    verdict = guarded.check(history, AUDITED)
    assert verdict.holds
    assert guarded.execute("SELECT sum(size), count(*) FROM testapp_account") == [(400, 4)]
