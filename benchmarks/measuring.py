"""Two ways to do the same, timed in turn in one process, and the ratio of their times."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import transaction

#: A sample lasts at least this long, so that the clock and the scheduler weigh little.
_SAMPLE_SECONDS = 0.02

Action = Callable[[], Any]
#: Makes so many calls and answers the seconds of one.
Sampler = Callable[[int], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """What we do and what a user would do instead.

    Attributes:
        name: as the table shows it.
        ours, theirs: the two actions. Each makes its own input in ``prepare`` where it may be used only once.
        target: the ratio that must not be exceeded.
        rounds: how many pairs of samples.
        once: whether an action is a sample by itself and must not be repeated within one.
        prepare: makes the argument of one call, outside the clock.
        around: what one sample runs in, outside the clock.
    """

    name: str
    ours: Callable[..., Any]
    theirs: Callable[..., Any]
    target: float
    rounds: int
    once: bool = False
    prepare: Action | None = None
    around: Callable[[], AbstractContextManager[Any]] = nullcontext


@dataclass(frozen=True, slots=True)
class Result:
    """The ratios of one pair.

    Attributes:
        ratio: the median of ours / theirs over all rounds.
        low, high: the middle half of the ratios.
        standard_error: how uncertain the median is, from the spread and the number of rounds.
        ours, theirs: median seconds of one call.
    """

    name: str
    database: str
    target: float
    rounds: int
    ratio: float
    low: float
    high: float
    standard_error: float
    ours: float
    theirs: float

    @property
    def holds(self) -> bool:
        return self.ratio <= self.target


@contextmanager
def rolled_back() -> Iterator[None]:
    """A transaction that leaves nothing behind."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def compare(pair: Pair, database: str) -> Result:
    """Time both sides in turn, each round in the other order, after one call of each that does not count."""
    number = 1 if pair.once else _repetitions(pair)
    ours, theirs = partial(_sample, pair, pair.ours), partial(_sample, pair, pair.theirs)
    if pair.once:
        ours(1)
        theirs(1)
    return result(pair.name, database, pair.target, *in_turn(ours, theirs, number, pair.rounds))


def in_turn(ours: Sampler, theirs: Sampler, number: int, rounds: int) -> tuple[list[float], list[float]]:
    """So many samples of both sides, each round in the other order."""
    mine, other = [], []
    for turn in range(rounds):
        if turn % 2:
            other.append(theirs(number))
            mine.append(ours(number))
        else:
            mine.append(ours(number))
            other.append(theirs(number))
    return mine, other


def result(name: str, database: str, target: float, ours: list[float], theirs: list[float]) -> Result:
    """The statistics of samples that were taken in pairs."""
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    low, ratio, high = statistics.quantiles(ratios, n=4)
    # Of a median of normal-ish samples: 1.2533 σ / √n, with σ from the middle half, which outliers don't move.
    error = 1.2533 * (high - low) / 1.349 / len(ratios) ** 0.5
    return Result(
        name,
        database,
        target,
        len(ratios),
        ratio,
        low,
        high,
        error,
        statistics.median(ours),
        statistics.median(theirs),
    )


def _sample(pair: Pair, action: Callable[..., Any], number: int) -> float:
    """Seconds of one call."""
    arguments = () if pair.prepare is None else (pair.prepare(),)
    with pair.around():
        return timed(action, number, *arguments)


def timed(action: Callable[..., Any], number: int, *arguments: Any) -> float:
    """Seconds of one call of so many, without the garbage collector."""
    gc.collect()
    gc.disable()
    try:
        started = time.perf_counter()
        for _ in range(number):
            action(*arguments)
        return (time.perf_counter() - started) / number
    finally:
        gc.enable()


def _repetitions(pair: Pair) -> int:
    number = enough(partial(_sample, pair, pair.theirs))
    _sample(pair, pair.ours, number)
    return number


def enough(sampler: Sampler) -> int:
    """How many calls make a sample that is long enough."""
    number = 1
    while sampler(number) * number < _SAMPLE_SECONDS:
        number *= 2
    return number
