"""Other ways to read a row, each timed in a process of its own.

django-cacheops and django-cachalot change Django itself in every process that they are installed in, and a version of
this package from before needs one, too. So a neighbour is asked for a sample whenever it is its turn: the samples are
taken in turn as those of one process are, and nobody disturbs anybody.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Neighbour:
    """A process that does one thing as often as it is told."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def sample(self, number: int) -> float:
        """Seconds of one call, when there are so many."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{number}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"The neighbour ended with {self._process.wait()}.")
        return float(answer)


@contextmanager
def neighbour(kind: str, action: str, database: str, *, package: Path = ROOT) -> Iterator[Neighbour]:
    """A neighbour of this kind, with a table of its own in ``database``; ``package`` is where this package is.

    ``action`` is ``"get"`` of a row that nobody has cached, ``"hit"`` of one that is cached, or ``"update"``.
    """
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "benchmarks.neighbours.settings",
        "REPO_NEIGHBOUR": kind,
        "REPO_NEIGHBOUR_ACTION": action,
        "REPO_NEIGHBOUR_DATABASE": database,
        "PYTHONPATH": str(ROOT),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.neighbours"],
        cwd=package, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:  # which closes its input, and so it ends
        yield Neighbour(process)
