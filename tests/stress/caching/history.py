"""What writers and readers have noted, and the judgement: O(n log n), as versions of a row are totally ordered.

Times are nanoseconds of CLOCK_MONOTONIC, which all processes of a host share. A write is acknowledged when its call has
returned, and its end is noted after that; a get's beginning is noted before its call.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple, TypeVar

_Note = TypeVar("_Note", "Write", "Get")


#: The version of each row and mark that the database has committed.
Committed = Mapping[tuple[int, int], int]


class Write(NamedTuple):
    """One row of a write; ``mark`` is 0 if it was taken back."""

    pk: int
    mark: int
    began: int
    ended: int


class Get(NamedTuple):
    """``hit`` is 1 if the database was not asked."""

    pk: int
    began: int
    ended: int
    version: int
    mark: int
    hit: int


class Log:
    """Notes in memory until the end, so that noting costs little."""

    def __init__(self) -> None:
        self._numbers = array("q")

    def note(self, event: Write | Get) -> None:
        self._numbers.extend(event)

    def save(self, path: Path) -> None:
        with path.open("wb") as file:
            self._numbers.tofile(file)


def load(kind: type[_Note], path: Path) -> Iterator[_Note]:
    numbers = array("q", path.read_bytes())
    width = len(kind._fields)
    for start in range(0, len(numbers), width):
        yield kind(*numbers[start : start + width])


@dataclass(kw_only=True)
class Judgement:
    """What the gets were worth.

    Attributes:
        stale: returned less than what had been acknowledged when they began.
        went_back: returned less than another get had returned before they began.
        uncommitted: returned a version with a mark that was never committed with it.
        stale_for: seconds that the worst of the stale ones began after the acknowledgement it did not see.
        quiet_gets, quiet_hits: of rows that nobody was writing, and that nobody had written for a lock's lifetime.
    """

    gets: int = 0
    hits: int = 0
    stale: int = 0
    went_back: int = 0
    uncommitted: int = 0
    stale_for: float = 0.0
    quiet_gets: int = 0
    quiet_hits: int = 0


def judge(gets: Iterable[Get], writes: Iterable[Write], committed: Committed, lock_ttl: float) -> Judgement:
    """What the gets were worth; ``lock_ttl`` is in seconds."""
    judgement = Judgement()
    for row, its_gets in _by_row(gets, writes, committed, lock_ttl):
        for get in its_gets:
            judgement.gets += 1
            judgement.hits += get.hit
            judgement.uncommitted += committed.get((get.pk, get.mark), -1) != get.version
            judgement.went_back += get.version < row.returned.at(get.began)
            if get.version < row.acknowledged.at(get.began):
                judgement.stale += 1
                age = get.began - row.acknowledged.first_above(get.version)
                judgement.stale_for = max(judgement.stale_for, age / 1e9)
            if row.is_quiet(get):
                judgement.quiet_gets += 1
                judgement.quiet_hits += get.hit
    return judgement


class _Row:
    """What is to be known of a row's writes and gets at any moment."""

    def __init__(self, gets: list[Get], writes: list[Write], committed: Committed, ttl: int) -> None:
        self.acknowledged = _Rising((write.ended, committed[write.pk, write.mark]) for write in writes if write.mark)
        self.returned = _Rising((get.ended, get.version) for get in gets)
        self._last_end = _Rising((write.began, write.ended) for write in writes)
        self._ttl = ttl

    def is_quiet(self, get: Get) -> bool:
        return self._last_end.at(get.ended) <= get.began - self._ttl


class _Rising:
    """The greatest value of all events before a moment."""

    def __init__(self, events: Iterable[tuple[int, int]]) -> None:
        ordered = sorted(events)
        self._moments = [moment for moment, _ in ordered]
        self._greatest = list(accumulate((value for _, value in ordered), max))

    def at(self, moment: int) -> int:
        position = bisect_left(self._moments, moment)
        return self._greatest[position - 1] if position else 0

    def first_above(self, value: int) -> int:
        """The moment of the first event that had more."""
        return self._moments[bisect_right(self._greatest, value)]


def _by_row(
    gets: Iterable[Get], writes: Iterable[Write], committed: Committed, lock_ttl: float
) -> Iterator[tuple[_Row, list[Get]]]:
    gets_of, writes_of = defaultdict[int, list[Get]](list), defaultdict[int, list[Write]](list)
    for get in gets:
        gets_of[get.pk].append(get)
    for write in writes:
        writes_of[write.pk].append(write)
    for pk, its_gets in gets_of.items():
        yield _Row(its_gets, writes_of[pk], committed, int(lock_ttl * 1e9)), its_gets
