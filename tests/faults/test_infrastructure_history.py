"""The judge is judged: planted losses and duplicates are found, and nothing else is."""

from __future__ import annotations

import multiprocessing
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.faults.history import History, connections_return, no_stuck_threads, recovery_time


class Refused(Exception):
    """The server has said no."""


def test_what_is_known_of_a_write(history):
    with history.write() as acknowledged:
        pass
    with pytest.raises(Refused), history.write(failed=Refused) as failed:
        raise Refused
    with pytest.raises(OSError), history.write(failed=Refused) as lost:
        raise OSError
    with pytest.raises(KeyboardInterrupt), history.write(failed=Exception) as interrupted:
        raise KeyboardInterrupt
    history.record("died", "begun")

    assert history.outcomes() == {
        acknowledged: "ok",
        failed: "failed",
        lost: "unknown",
        interrupted: "unknown",
        "died": "unknown",
    }


@pytest.mark.parametrize(
    ("attempts", "known"),
    [
        (["failed", "ok"], "ok"),
        (["unknown", "ok"], "ok"),
        (["unknown", "failed"], "unknown"),
        (["failed", "unknown"], "unknown"),
        (["failed", "failed"], "failed"),
    ],
)
def test_attempts_add_up(history, attempts, known):
    history.record(1, "begun")
    for outcome in attempts:
        history.record(1, outcome)

    assert history.outcomes() == {"1": known}


@pytest.fixture
def told(history):
    """Two acknowledged writes, two failed, two unknown."""
    for write, outcome in [(1, "ok"), (2, "ok"), (3, "failed"), (4, "failed"), (5, "unknown"), (6, "unknown")]:
        history.record(write, outcome)
    return history


@pytest.mark.parametrize(("found", "applied"), [([1, 2], 0), ([2, 1, 5], 1), ([1, 2, 5, 6], 2)])
def test_rows_that_agree(told, found, applied):
    verdict = told.check(found)

    assert verdict.holds
    assert (verdict.ok, verdict.failed, verdict.unknown, verdict.applied) == (2, 2, 2, applied)


@pytest.mark.parametrize(
    ("found", "fault", "writes"),
    [
        ([1], "lost", ("2",)),
        ([], "lost", ("1", "2")),
        ([1, 2, 4], "revived", ("4",)),
        ([1, 2, 2], "doubled", ("2",)),
        ([1, 2, 6, 6], "doubled", ("6",)),
        ([1, 2, 7], "foreign", ("7",)),
    ],
)
def test_planted_faults(told, found, fault, writes):
    verdict = told.check(found)

    assert not verdict.holds
    assert {name: getattr(verdict, name) for name in ("lost", "revived", "doubled", "foreign")} == {
        **dict.fromkeys(("lost", "revived", "doubled", "foreign"), ()),
        fault: writes,
    }


def write_many(history: History, count: int) -> None:
    for _ in range(count):
        with history.write():
            pass


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # fork with threads around, from Python 3.12 on
def test_many_processes_and_threads_write_one_history(history, method):
    context = multiprocessing.get_context(method)
    processes = [context.Process(target=write_many, args=(history, 200)) for _ in range(2)]
    for process in processes:
        process.start()
    with ThreadPoolExecutor(4) as pool:
        for _ in range(4):
            pool.submit(write_many, history, 200)
    for process in processes:
        process.join(30)
        assert process.exitcode == 0

    assert len(history.events()) == 2 * 6 * 200
    assert history.check(history.outcomes()).ok == 6 * 200
    assert pickle.loads(pickle.dumps(history)).events() == history.events()


def test_recovery_counts_from_the_healing_to_the_first_write_that_began_after_it(history):
    with history.write():
        history.record("across", "begun")
    healed_at = time.monotonic()
    history.record("across", "ok")
    with pytest.raises(LookupError):
        history.recovery(healed_at)
    with history.write() as first:
        pass

    (acknowledged_at,) = [event.at for event in history.events() if (event.write, event.outcome) == (first, "ok")]
    assert history.recovery(healed_at) == acknowledged_at - healed_at


def test_recovery_time_ends_with_the_first_success_and_keeps_the_last_error():
    answers = iter([Refused, Refused, None])

    def probe():
        if error := next(answers):
            raise error

    assert recovery_time(probe, within=5, errors=(Refused,)) > 0
    answers = iter([ValueError])
    with pytest.raises(ValueError):
        recovery_time(probe, within=5, errors=(Refused,))
    answers = iter(lambda: Refused, None)
    with pytest.raises(TimeoutError) as caught:
        recovery_time(probe, within=0.1, errors=(Refused,))
    assert isinstance(caught.value.__cause__, Refused)


def test_a_leaked_connection_is_seen(cluster):
    with cluster.connect(application_name="leak"):
        with pytest.raises(TimeoutError, match="leak keeps 0"):
            connections_return(cluster, "leak", within=0.1)
        connections_return(cluster, "leak", to=1)
    connections_return(cluster, "leak")


def test_a_stuck_thread_is_seen_with_its_stack():
    release = threading.Event()
    thread = threading.Thread(target=release.wait, name="stuck-one")

    with pytest.raises(AssertionError, match="(?s)stuck-one.*wait"), no_stuck_threads(within=0.1):
        thread.start()
    release.set()
    with no_stuck_threads():
        threading.Thread(target=thread.join).start()


def test_a_small_run_from_end_to_end(cluster, database, history):
    cluster.execute("CREATE TABLE written (id text)", database=database)
    stop = threading.Event()

    def client():
        while not stop.is_set():
            try:
                with history.write() as write:
                    cluster.execute("INSERT INTO written VALUES (%s)", [write], database=database)
            except psycopg.OperationalError:
                stop.wait(0.01)

    with no_stuck_threads(), ThreadPoolExecutor(3) as pool:
        for _ in range(3):
            pool.submit(client)
        cluster.stop("immediate")
        cluster.start()
        healed_at = time.monotonic()
        recovery_time(lambda: history.recovery(healed_at), within=10, errors=(LookupError,))
        stop.set()

    verdict = history.check(row for (row,) in cluster.execute("SELECT id FROM written", database=database))
    assert verdict.holds, verdict
    assert verdict.ok > 0 and verdict.unknown > 0


def test_a_line_that_is_still_being_written_is_not_read(history):
    history.record("a", "ok")
    with history._path.open("a") as file:
        file.write("12.5 unk")
    assert [event.write for event in history.events()] == ["a"]
