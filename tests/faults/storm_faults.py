"""What the storm does: faults in an order that a seed determines."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import NamedTuple

from tests.faults.clusters import PostgresCluster
from tests.faults.proxy import FaultProxy


class Target(NamedTuple):
    """What is broken, and ``luck``, a number between 0 and 1 that chooses the victim."""

    cluster: PostgresCluster
    proxy: FaultProxy
    luck: float

    @property
    def victim(self) -> int | None:
        """A client's backend, if there is one."""
        pids = [backend.pid for backend in self.cluster.backends()]
        return pids[int(self.luck * len(pids))] if pids else None


class Strike(NamedTuple):
    """One fault, held for some seconds and followed by a calm."""

    name: str
    hold: float
    calm: float
    luck: float


def _kill_backend(on: Target) -> None:
    """The postmaster then ends all the others and recovers."""
    if (pid := on.victim) is not None:
        on.cluster.kill(pid)


def _terminate(on: Target) -> None:
    on.cluster.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND random() < %s",
        [0.2 + on.luck],
    )


def _restart(on: Target) -> None:
    on.cluster.stop("immediate")


def _blackhole(on: Target) -> None:
    on.proxy.blackhole("both" if on.luck < 0.4 else "upstream" if on.luck < 0.7 else "downstream")


def _freeze_backend(on: Target) -> None:
    if (pid := on.victim) is not None:
        on.cluster.suspend(pid)


FAULTS: dict[str, Callable[[Target], None]] = {
    "kill a backend": _kill_backend,
    "terminate backends": _terminate,
    "immediate restart": _restart,
    "reset": lambda on: on.proxy.reset(),
    "blackhole": _blackhole,
    "latency": lambda on: on.proxy.latency(0.1 + on.luck / 5, 0.1),
    "cut before COMMIT": lambda on: on.proxy.cut_at_commit("before", times=3),
    "cut after COMMIT": lambda on: on.proxy.cut_at_commit("after", times=3),
    "cut before INSERT": lambda on: on.proxy.cut_at("^INSERT", "before", times=3),
    "cut after INSERT": lambda on: on.proxy.cut_at("^INSERT", "after", times=3),
    "freeze a backend": _freeze_backend,
    "freeze the postmaster": lambda on: on.cluster.suspend(),
    "refuse": lambda on: on.proxy.refuse(),
    "refuse and reset": lambda on: (on.proxy.refuse(), on.proxy.reset())[0],
}


def strikes(seed: int) -> Iterator[Strike]:
    """The same for ever for the same seed; every fault comes before any comes again."""
    chance = random.Random(seed)
    while True:
        for name in chance.sample(sorted(FAULTS), len(FAULTS)):
            yield Strike(name, chance.uniform(0.1, 1.5), chance.uniform(0.3, 1.5), chance.random())
