"""Cache protocols for one row, as programs of atomic steps.

A step takes the world and the process that is at it, and yields what may come of the two. What a process has yet to
do is a tuple of steps, so that a step can drop some of those before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

LOCK = 0

#: What the key of a generation holds: a generation, ``LOCK``, or nothing.
Cell = int | None
Tag = tuple[Cell, Cell]


class Value(NamedTuple):
    """What the key of the row's value holds; where there are no generations its tag is ``None``."""

    tag: Tag | None
    version: int


class World(NamedTuple):
    """The row in the database, its keys in the cache, and the last write that was acknowledged.

    A version is a number that each committed write raises by one. ``fresh`` is a generation that nobody has seen yet;
    ``counts`` says that those of rows are numbers instead, which begin with 1.
    """

    committed: int = 0
    acknowledged: int = 0
    row_is_locked: bool = False
    model: Cell = None
    row: Cell = None
    value: Value | None = None
    fresh: int = 1
    counts: bool = False

    @property
    def tag(self) -> Tag:
        return self.model, self.row

    def renew(self, key: str) -> World:
        """With a new generation in this key."""
        if self.counts and key == "row":
            return self._replace(row=(self.row or 0) + 1)
        return self._replace(**{key: self.fresh}, fresh=self.fresh + 1)


class Answer(NamedTuple):
    """What a get has found in the cache, and what had been acknowledged and committed when it began."""

    version: int
    acknowledged: int
    committed: int


class Process(NamedTuple):
    """A writer or a reader.

    Attributes:
        kind: processes of one kind are alike.
        rest: the steps it has yet to take.
        again: the steps of each get that it begins after this one.
        tag: the generations that it has seen.
        version: what a writer has written and a reader has read.
        since: what had been acknowledged and committed when its get began, where that is looked at later.
        keeps: the key whose lock lives on at least until this process has committed.
        answer: of the get that ends with this step.
        is_idle: whether it has not begun, or has ended.
    """

    name: str
    kind: int
    rest: tuple[Step, ...]
    again: tuple[tuple[Step, ...], ...] = ()
    tag: Tag | None = None
    version: int | None = None
    since: tuple[int, int] | None = None
    keeps: str = ""
    answer: Answer | None = None
    is_idle: bool = True


Step = Callable[[World, Process], Iterator[tuple[World, Process]]]


def _next(me: Process, **changes: object) -> Process:
    return me._replace(rest=me.rest[1:], is_idle=False, **changes)


def _drop_to(me: Process, step: Step, **changes: object) -> Process:
    return me._replace(rest=me.rest[me.rest.index(step) :], is_idle=False, **changes)


def _over(me: Process) -> Process:
    """At the next get, if there is one."""
    rest, *again = me.again or [()]
    return Process(me.name, me.kind, rest, tuple(again))


# The database


def update(world: World, me: Process) -> Iterator[tuple[World, Process]]:
    """The statement, which waits for the row's lock."""
    if not world.row_is_locked:
        yield world._replace(row_is_locked=True), _next(me, version=world.committed + 1)


def commit(world: World, me: Process) -> Iterator[tuple[World, Process]]:
    """COMMIT, or ROLLBACK, after which a writer does nothing more."""
    assert me.version is not None
    released = world._replace(row_is_locked=False)
    yield released._replace(committed=me.version), _next(me, keeps="")
    yield released, _over(me)


def acknowledge(world: World, me: Process) -> Iterator[tuple[World, Process]]:
    """The caller of a writer is told."""
    assert me.version is not None
    yield world._replace(acknowledged=max(world.acknowledged, me.version)), _over(me)


def snapshot(world: World, me: Process) -> Iterator[tuple[World, Process]]:
    """The transaction of a reader begins to see the database as it is now."""
    yield world, _next(me, version=world.committed)


def read(world: World, me: Process) -> Iterator[tuple[World, Process]]:
    yield world, _next(me, version=world.committed if me.version is None else me.version)


# What writers do to the cache


def _lock(key: str) -> Step:
    def lock(world: World, me: Process) -> Iterator[tuple[World, Process]]:
        yield world._replace(**{key: LOCK}), _next(me, keeps=key if commit in me.rest else "")

    lock.__name__ = f"lock_{key}"
    return lock


lock_row, lock_model = _lock("row"), _lock("model")


def unlock(world: World, me: Process) -> Iterator[tuple[World, Process]]:
    """Remove whatever is in the row's key."""
    yield world._replace(row=None), _next(me)


def bump(world: World, me: Process) -> Iterator[tuple[World, Process]]:
    """A new generation; a number that is not there cannot be raised."""
    yield world if world.counts and world.row is None else world.renew("row"), _next(me)


def delete(world: World, me: Process) -> Iterator[tuple[World, Process]]:
    yield world._replace(value=None), _next(me)


def write_through(world: World, me: Process) -> Iterator[tuple[World, Process]]:
    assert me.version is not None
    yield world._replace(value=Value(None, me.version)), _next(me)


# What readers do with the cache


def look(world: World, me: Process) -> Iterator[tuple[World, Process]]:
    """``get_many`` of both generations and the value, at one moment."""
    yield world, _judged(world, me, world.tag)


def look_at_model(world: World, me: Process) -> Iterator[tuple[World, Process]]:
    """``get_many`` of a cache that gets key by key."""
    since = world.acknowledged, world.committed
    yield world, _over(me) if world.model == LOCK else _next(me, tag=(world.model, None), since=since)


def look_at_row(world: World, me: Process) -> Iterator[tuple[World, Process]]:
    assert me.tag is not None
    tag = me.tag[0], world.row
    yield world, _judged(world, me, tag) if LOCK in tag or None in tag else _next(me, tag=tag)


def look_at_value(world: World, me: Process) -> Iterator[tuple[World, Process]]:
    assert me.tag is not None
    yield world, _judged(world, me, me.tag)


def _judged(world: World, me: Process, tag: Tag) -> Process:
    """A get that has seen these generations, and now the value.

    What a get past the cache reads in the database is right and leaves nothing behind: here it is over.
    """
    if LOCK in tag:
        return _over(me)
    if None in tag:
        return _drop_to(me, add_model if tag[0] is None else add_row, tag=tag, since=None)
    if world.value and world.value.tag == tag:
        return _over(me)._replace(answer=_answer(world, me))
    return _drop_to(me, read, tag=tag, since=None)


def _answer(world: World, me: Process) -> Answer:
    assert world.value is not None
    return Answer(world.value.version, *(me.since or (world.acknowledged, world.committed)))


def add_model(world: World, me: Process) -> Iterator[tuple[World, Process]]:
    yield world.renew("model") if world.model is None else world, _next(me)


def see_model(world: World, me: Process) -> Iterator[tuple[World, Process]]:
    assert me.tag is not None
    if world.model in (LOCK, None):
        yield world, _over(me)
    else:
        yield world, _drop_to(me, add_row if me.tag[1] is None else read, tag=(world.model, me.tag[1]))


def add_row(world: World, me: Process) -> Iterator[tuple[World, Process]]:
    yield world.renew("row") if world.row is None else world, _next(me)


def see_row(world: World, me: Process) -> Iterator[tuple[World, Process]]:
    assert me.tag is not None
    yield world, _over(me) if world.row in (LOCK, None) else _next(me, tag=(me.tag[0], world.row))


def tag_late(world: World, me: Process) -> Iterator[tuple[World, Process]]:
    """The mistake of looking at the generations after the database was read."""
    yield world, _over(me) if LOCK in world.tag or None in world.tag else _next(me, tag=world.tag)


def look_without_tag(world: World, me: Process) -> Iterator[tuple[World, Process]]:
    yield world, _next(me) if world.value is None else _over(me)._replace(answer=_answer(world, me))


def fill(world: World, me: Process) -> Iterator[tuple[World, Process]]:
    assert me.version is not None
    yield world._replace(value=Value(me.tag, me.version)), _over(me)


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Programs of writers and readers.

    Attributes:
        name: as the table shows it.
        writers: one program each.
        readers: the programs of their gets. The first of them also looks at what is left in the end.
        counts: whether generations of rows are numbers.
        lock_is_short: whether a lock may expire before its writer has committed.
    """

    name: str
    writers: tuple[tuple[Step, ...], ...]
    readers: tuple[tuple[Step, ...], ...]
    counts: bool = False
    lock_is_short: bool = False


TAG = (add_model, see_model, add_row, see_row)
GET = (look, *TAG, read, fill)
KEY_BY_KEY = (look_at_model, look_at_row, look_at_value, *TAG, read, fill)
WITHOUT_TAG = (look_without_tag, read, fill)
TAG_LATE = (look, *TAG, read, tag_late, fill)
OLD_SNAPSHOT = (snapshot, *GET)

BEFORE_STATEMENT = (lock_row, update, commit, lock_row, acknowledge)
BEFORE_COMMIT = (update, lock_row, commit, lock_row, acknowledge)
MODEL_BEFORE_STATEMENT = (lock_model, update, commit, lock_model, acknowledge)
MODEL_BEFORE_COMMIT = (update, lock_model, commit, lock_model, acknowledge)


def _pair(name: str, writer: tuple[Step, ...], get: tuple[Step, ...] = GET, **flags: bool) -> Protocol:
    """Two writers of one program, and two readers."""
    return Protocol(name=name, writers=(writer,) * 2, readers=(get,) * 2, **flags)


OURS = (
    _pair("lock before the statement", BEFORE_STATEMENT),
    _pair("lock right before COMMIT", BEFORE_COMMIT),
    _pair("lock of the whole model", MODEL_BEFORE_STATEMENT),
    Protocol(
        name="one writer locks the row, the other the model",
        writers=(BEFORE_STATEMENT, MODEL_BEFORE_COMMIT), readers=(GET, GET),
    ),
    Protocol(
        name="one reader gets key by key", writers=(BEFORE_COMMIT, BEFORE_COMMIT), readers=(KEY_BY_KEY, GET),
    ),
)  # fmt: skip

BROKEN = (
    _pair("delete after COMMIT", (update, commit, delete, acknowledge), WITHOUT_TAG),
    _pair("delete before and after", (delete, update, commit, delete, acknowledge), WITHOUT_TAG),
    _pair("write through", (update, commit, write_through, acknowledge), WITHOUT_TAG),
    _pair("new generation after COMMIT", (update, commit, bump, acknowledge)),
    _pair("counted generation after COMMIT", (update, commit, bump, acknowledge), counts=True),
    _pair("lock before, not again after", (lock_row, update, commit, acknowledge)),
    _pair("lock after, not before", (update, commit, lock_row, acknowledge)),
    _pair("unlock after COMMIT", (lock_row, update, commit, unlock, acknowledge)),
    _pair("lock shorter than until COMMIT", BEFORE_STATEMENT, lock_is_short=True),
    _pair("lock, but a counted generation", BEFORE_STATEMENT, counts=True),
    _pair("tag read after the database", BEFORE_STATEMENT, TAG_LATE),
    _pair("fill from an old snapshot", BEFORE_STATEMENT, OLD_SNAPSHOT),
)
