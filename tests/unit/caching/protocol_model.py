"""An exhaustive check of cache protocols: every order in which the steps of a row's writers and readers can come.

    python -m tests.unit.caching.protocol_model [--traces]

prints the verdicts as Markdown; ``--traces`` adds the shortest way into each broken claim. There are two writers, each
of which may roll back, and two readers; whenever nobody is in the middle of anything, one more get looks at what was
left. The cache is cold at first, or holds what is true. A bounded check is no proof for any number of processes.
"""

from __future__ import annotations

import argparse
import sys
from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.unit.caching.protocols import (
    BROKEN,
    LOCK,
    OURS,
    Answer,
    Cell,
    Process,
    Protocol,
    Tag,
    Value,
    World,
    acknowledge,
    commit,
    fill,
    look_without_tag,
    read,
)

CLAIMS = {
    "P1": "a get that begins after a write was acknowledged returns that write or a later one",
    "P2": "when everybody is done and the locks have expired, nothing stale can be read",
    "P3": "a get that begins after a COMMIT returns that write or a later one, acknowledged or not",
}


@dataclass(frozen=True)
class Faults:
    """How many writers may die, and how often the cache may lose a key or all of them."""

    name: str
    crashes: int = 0
    losses: int = 0


NONE = Faults("no fault")
CRASH = Faults("a writer dies", crashes=1)
LOSS = Faults("the cache loses keys", losses=1)
BOTH = Faults("both", crashes=1, losses=1)
FAULTS = (NONE, CRASH, LOSS, BOTH)


class State(NamedTuple):
    """One moment."""

    world: World
    processes: tuple[Process, ...]
    crashes: int
    losses: int

    @property
    def is_quiet(self) -> bool:
        """Whether nobody is in the middle of anything."""
        return all(process.is_idle for process in self.processes)


@dataclass
class Verdict:
    """The broken claims, each with the shortest way to break it, and how many states were seen."""

    broken: dict[str, tuple[str, ...]] = field(default_factory=dict)
    states: int = 0

    def __str__(self) -> str:
        return f"{' '.join(sorted(self.broken))} broken" if self.broken else "holds"


def check(protocol: Protocol, faults: Faults, *, gets: int = 1, merging: bool = True) -> Verdict:
    """Visit every state, breadth first, until there is nothing left to visit or to break.

    Each reader does so many ``gets``, one after the other. Without ``merging``, states that differ only in names are
    visited all the same.
    """
    verdict = Verdict()
    essence = _merged if merging and not protocol.counts else _exact
    came_from: dict[Hashable, tuple[Hashable, str] | None] = {}
    to_visit: deque[tuple[Hashable, State]] = deque()
    for state in _beginnings(protocol, faults, gets):
        came_from[key := essence(state)] = None
        to_visit.append((key, state))
    while to_visit and len(verdict.broken) < len(CLAIMS):
        key, state = to_visit.popleft()
        for event, following, answer in _successors(state, protocol):
            for claim in _broken_by(answer, state) if answer else ():
                verdict.broken.setdefault(claim, (*_way_to(key, came_from), f"{event}: {answer.version}"))
            if (found := essence(following)) not in came_from:
                came_from[found] = key, event
                to_visit.append((found, following))
    verdict.states = len(came_from)
    return verdict


def _beginnings(protocol: Protocol, faults: Faults, gets: int) -> Iterator[State]:
    kinds = (*protocol.writers, *protocol.readers)
    writers = [Process(f"writer {n}", kinds.index(program), program) for n, program in enumerate(protocol.writers)]
    readers = [
        Process(f"reader {n}", kinds.index(program), program, (program,) * (gets - 1))
        for n, program in enumerate(protocol.readers)
    ]
    warm = World(model=1, row=1, value=Value((1, 1), 0), fresh=2)
    if look_without_tag in protocol.readers[0]:
        warm = World(value=Value(None, 0))
    for world in (World(), warm):
        world = world._replace(counts=protocol.counts)
        yield State(world, (*writers, *readers), faults.crashes, faults.losses)


def _successors(state: State, protocol: Protocol) -> Iterator[tuple[str, State, Answer | None]]:
    """Everything that can happen next, with the answer where a get has found one in the cache."""
    for number, process in enumerate(state.processes):
        if process.rest:
            step = process.rest[0]
            for world, after in step(state.world, process):
                if after.rest[:1] == (acknowledge,):  # at once, which demands most of the gets that follow
                    world, after = next(acknowledge(world, after))
                told = after._replace(answer=None) if after.answer else after
                yield f"{process.name}: {step.__name__}", _with(state, world, number, told), after.answer
        if state.crashes and acknowledge in process.rest and not process.is_idle:
            yield f"{process.name} dies", _without(state, number), None
    if state.is_quiet:
        yield "final get", state, _final_answer(state.world, protocol)
    for event, world in _expiries(state, protocol):
        yield event, state._replace(world=world), None
    if state.losses:
        for event, world in _losses(state.world):
            yield event, state._replace(world=world, losses=state.losses - 1), None


def _with(state: State, world: World, number: int, process: Process) -> State:
    processes = (*state.processes[:number], process, *state.processes[number + 1 :])
    return State(world, processes, state.crashes, state.losses)


def _without(state: State, number: int) -> State:
    """The database rolls back what a dead writer has not committed; its locks in the cache stay."""
    dead = state.processes[number]
    held_the_row = dead.version is not None and commit in dead.rest
    world = state.world._replace(row_is_locked=False) if held_the_row else state.world
    return _with(state, world, number, Process(dead.name, dead.kind, ()))._replace(crashes=state.crashes - 1)


def _final_answer(world: World, protocol: Protocol) -> Answer | None:
    """What a get finds that nobody disturbs."""
    me = Process("final get", 0, protocol.readers[0])
    while me.rest and me.answer is None:
        world, me = next(me.rest[0](world, me))
    return me.answer


def _expiries(state: State, protocol: Protocol) -> Iterator[tuple[str, World]]:
    """A lock lives longer than its writer takes until COMMIT, unless the protocol says otherwise."""
    kept = set() if protocol.lock_is_short else {process.keeps for process in state.processes}
    for key in ("model", "row"):
        if getattr(state.world, key) == LOCK and key not in kept:
            yield f"the lock of the {key} expires", state.world._replace(**{key: None})


def _losses(world: World) -> Iterator[tuple[str, World]]:
    for key in ("model", "row", "value"):
        if getattr(world, key) is not None:
            yield f"the key of the {key} is evicted", world._replace(**{key: None})
    yield "the cache is flushed", world._replace(model=None, row=None, value=None)


def _broken_by(answer: Answer, state: State) -> Iterator[str]:
    if answer.version < answer.acknowledged:
        yield "P1"
    if answer.version < state.world.committed and state.is_quiet:
        yield "P2"
    if answer.version < answer.committed:
        yield "P3"


_NOTHING, _GONE = -1, -2


def _exact(state: State) -> Hashable:
    return state


def _merged(state: State) -> Hashable:
    """What decides about the future of a state: of those that have it in common one is visited.

    Processes of one kind are alike. Random generations are all different, so that it only matters which of them are
    the same; and one that is in no key and in nobody's eye never comes back, so that a value tagged with it is lost.
    """
    world = state.world
    eyes = [process.tag for process in state.processes if process.since and process.tag]
    names: dict[Cell, int] = {None: _NOTHING, LOCK: LOCK}
    for cell in (*world.tag, *(cell for tag in eyes for cell in tag)):
        names.setdefault(cell, len(names))

    def named(tag: Tag | None) -> tuple[int, ...]:
        if tag is None:
            return ()
        found = names.get(tag[0], _GONE), names.get(tag[1], _GONE)
        return (_GONE,) if _GONE in found else found

    tag = named(world.value.tag) if world.value else (_GONE,)
    value = None if tag == (_GONE,) else (tag, world.value and world.value.version)
    processes = []
    for process in state.processes:
        tag, version, steps = named(process.tag), process.version, len(process.rest)
        if tag == (_GONE,) and process.rest in ((read, fill), (fill,)):
            version, steps = None, 1  # whatever it reads, it will overwrite what is there with nothing
        version = -1 if version is None else version
        processes.append((process.kind, steps, len(process.again), tag, version, process.since or ()))
    return world.committed, world.acknowledged, named(world.tag), value, state[2:], tuple(sorted(processes))


def _way_to(key: Hashable, came_from: dict[Hashable, tuple[Hashable, str] | None]) -> tuple[str, ...]:
    events: list[str] = []
    while (step := came_from[key]) is not None:
        key, event = step
        events.append(event)
    return tuple(reversed(events))


def markdown(verdicts: dict[tuple[Protocol, Faults], Verdict]) -> str:
    """A row for each protocol, a column for each kind of faults."""
    lines = [f"| protocol | {' | '.join(faults.name for faults in FAULTS)} |", "|---|" + "---|" * len(FAULTS)]
    for title, protocols in (("ours", OURS), ("others", BROKEN)):
        lines.append(f"| **{title}** |" + " |" * len(FAULTS))
        lines += [
            f"| {protocol.name} | {' | '.join(str(verdicts[protocol, faults]) for faults in FAULTS)} |"
            for protocol in protocols
        ]
    return "\n".join([*lines, "", *(f"- {name}: {text}." for name, text in CLAIMS.items())])


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Every order of the steps of cache protocols.")
    parser.add_argument("--traces", action="store_true", help="show the shortest way into each broken claim")
    options = parser.parse_args(arguments)
    verdicts = {(protocol, faults): check(protocol, faults) for protocol in (*OURS, *BROKEN) for faults in FAULTS}
    print(markdown(verdicts))
    print(f"\n{sum(verdict.states for verdict in verdicts.values()):,} states.")
    for (protocol, faults), verdict in verdicts.items() if options.traces else ():
        for claim, events in sorted(verdict.broken.items()):
            print(f"\n{protocol.name}, {faults.name}, {claim}:", *events, sep="\n    ")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
