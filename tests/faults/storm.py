"""The storm: random faults against many clients, and in the end a count of what is there.

    python -m tests.faults.storm [--seconds 600] [--seed NUMBER] [--json PATH]

It ends with 1 if an acknowledged write is lost, a failed one is there, any is there twice, a read was wrong, a client
has met an error that is none of the package's, or connections are left.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from django_enterprise_repo.policies import BreakerPolicy, RetryPolicy
from tests.faults import children
from tests.faults.clusters import PostgresCluster
from tests.faults.history import Event, History, connections_return
from tests.faults.processes import wait_until
from tests.faults.proxy import FaultProxy
from tests.faults.storm_faults import FAULTS, Strike, Target, strikes

PROCESSES, THREADS = 4, 4  # of each process
BREAKER = BreakerPolicy(fail_max=5, reset_timeout=0.3, max_reset_timeout=2.0)
RETRY = RetryPolicy(attempts=3, deadline=3.0)
PATIENCE = 60.0


@dataclass(kw_only=True)
class Figures:
    """What a storm came to. ``recoveries`` are seconds from the end of a fault to the next acknowledged write."""

    seed: int
    seconds: float
    faults: dict[str, int]
    acknowledged: int
    failed: int
    unknown: int
    applied: int
    reads_right: int
    reads_wrong: int
    reads_failed: int
    lost: int
    doubled: int
    revived: int
    foreign: int
    registers_wrong: int
    recovery_median: float
    recovery_max: float
    told: dict[str, int] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        wrong = (self.lost, self.doubled, self.revived, self.foreign, self.registers_wrong, self.reads_wrong)
        return not any(wrong) and self.acknowledged > 0


def storm(seconds: float, seed: int, folder: Path, tell: Callable[[str], None] = lambda _: None) -> Figures:
    """Let faults loose for so long, then heal everything and count.

    Raises:
        AssertionError: a client has ended otherwise than it should, or is stuck.
        TimeoutError: writes do not come back, or connections are left.
    """
    from tests.faults import django_env
    from tests.faults.setups import guarded, postgres
    from tests.faults.storm_clients import registers
    from tests.testapp.models import Bare, Plain

    history = History(folder / "history")
    with ExitStack() as stack:
        cluster = stack.enter_context(PostgresCluster())
        name = stack.enter_context(cluster.database())
        proxy = stack.enter_context(FaultProxy(cluster.port, protocol="postgresql"))
        settings = postgres(name, proxy.port, connect_timeout=2)
        with guarded(settings) as alias:
            django_env.create_tables(alias, Plain, Bare)
            pks = registers(alias, PROCESSES * THREADS)
        clients = _Clients(settings, history, folder / "history", seed, pks)
        stack.callback(clients.kill)
        wait_until(lambda: history.check(()).ok > 20, PATIENCE, "the clients write")
        begun = time.monotonic()
        faults, healed = _strike(cluster, proxy, seed, begun + seconds, tell)
        time.sleep(3.0)  # of calm, to see everybody recover
        connections_return(cluster, alias, to=PROCESSES * THREADS, within=PATIENCE)
        answers = clients.stop()
        connections_return(cluster, alias, within=PATIENCE)
        rows = [row for (row,) in cluster.execute("SELECT name FROM testapp_plain", database=name)]
        sizes = dict(cluster.execute("SELECT id, size FROM testapp_bare", database=name))
    verdict = history.check(rows)
    told = sum((told for _, told in answers), Counter[str]())
    recoveries = sorted(_recoveries(history.events(), healed))
    return Figures(
        seed=seed,
        seconds=round(time.monotonic() - begun, 1),
        faults=dict(faults),
        acknowledged=verdict.ok,
        failed=verdict.failed,
        unknown=verdict.unknown,
        applied=verdict.applied,
        reads_right=told.pop("read right", 0),
        reads_wrong=told.pop("read wrong", 0),
        reads_failed=sum(count for what, count in told.items() if what.startswith(("find:", "recall:"))),
        lost=len(verdict.lost),
        doubled=len(verdict.doubled),
        revived=len(verdict.revived),
        foreign=len(verdict.foreign),
        registers_wrong=sum(not register.allows(sizes[register.pk]) for register, _ in answers),
        recovery_median=round(recoveries[len(recoveries) // 2], 3),
        recovery_max=round(recoveries[-1], 3),
        told=dict(told),
    )


def _strike(
    cluster: PostgresCluster, proxy: FaultProxy, seed: int, until: float, tell: Callable[[str], None]
) -> tuple[Counter[str], list[float]]:
    """Fault after fault; how often each came, and when it was over."""
    faults: Counter[str] = Counter()
    healed: list[float] = []
    for strike in strikes(seed):
        if time.monotonic() > until:
            break
        tell(f"{strike.name} for {strike.hold:.1f} s")
        _one(cluster, proxy, strike)
        faults[strike.name] += 1
        healed.append(time.monotonic())
        time.sleep(strike.calm)
    return faults, healed


def _one(cluster: PostgresCluster, proxy: FaultProxy, strike: Strike) -> None:
    FAULTS[strike.name](Target(cluster, proxy, strike.luck))
    time.sleep(strike.hold)
    proxy.heal()
    cluster.heal()


class _Clients:
    """The processes that write and read."""

    def __init__(self, settings: dict[str, Any], history: History, path: Path, seed: int, pks: list[int]) -> None:
        self._stop = children.event()
        self._pipes, self._processes = [], []
        for number in range(PROCESSES):
            here, there = children.pipe()
            part = pks[number * THREADS : (number + 1) * THREADS]
            self._pipes.append(here)
            self._processes.append(
                children.spawn(
                    "tests.faults.storm_clients.work", settings, there, path, self._stop, str(seed), part,
                    breaker=BREAKER, retry=RETRY,
                )
            )  # fmt: skip

    def stop(self) -> list[Any]:
        """Let them finish; what each thread has to tell."""
        self._stop.set()
        answers: list[Any] = []
        for pipe, process in zip(self._pipes, self._processes, strict=True):
            assert pipe.poll(PATIENCE), "A client is stuck or has failed."
            answers += pipe.recv()
            process.join(PATIENCE)
            assert process.exitcode == 0, f"A client ended with {process.exitcode}."
        return answers

    def kill(self) -> None:
        for process in self._processes:
            if process.is_alive():
                process.kill()
                process.join()


def _recoveries(events: Sequence[Event], healed: Sequence[float]) -> list[float]:
    """Seconds from each of these moments to the first acknowledgement of a write that began after it."""
    begun = {event.write: event.at for event in events if event.outcome == "begun"}
    writes = sorted((begun[event.write], event.at) for event in events if event.outcome == "ok")
    earliest = [at for _, at in writes]
    for position in range(len(earliest) - 2, -1, -1):
        earliest[position] = min(earliest[position], earliest[position + 1])
    positions = [bisect_left(writes, (moment, 0.0)) for moment in healed]
    assert all(position < len(writes) for position in positions), "No write was acknowledged after the last fault."
    return [earliest[position] - moment for position, moment in zip(positions, healed, strict=True)]


def main(arguments: Sequence[str]) -> int:
    import django

    parser = argparse.ArgumentParser(description="Random faults against many clients, then a count of what is there.")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the figures as JSON, too")
    options = parser.parse_args(arguments)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    print(f"seed {options.seed}", flush=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        figures = storm(
            options.seconds, options.seed, Path(folder),
            lambda text: print(f"{time.monotonic() - started:7.1f} s  {text}", flush=True),
        )  # fmt: skip
    for name, value in asdict(figures).items():
        print(f"{name.replace('_', ' '):18} {value}")
    if options.json:
        options.json.write_text(json.dumps(asdict(figures), indent=2))
    print("It holds." if figures.holds else "It does NOT hold.")
    return 0 if figures.holds else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
