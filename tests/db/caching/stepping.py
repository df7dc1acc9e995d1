"""Threads that go on by one step when they are told to, so that every order of their steps can be had."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from typing import Any

from django.db import connections

_PATIENCE = 30.0  # seconds until a thread counts as stuck


class Actor:
    """A thread with connections of its own. It stops at each :func:`step` it comes to until that is its turn."""

    def __init__(self, name: str) -> None:
        self.waits_at: str | None = None
        self.answer: Any = None
        self.error: BaseException | None = None
        self._jobs: SimpleQueue[Callable[[], Any] | None] = SimpleQueue()
        self._is_closing = False
        self._go = threading.Semaphore(0)
        self._has_stopped = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def begin(self, job: Callable[[], Any]) -> None:
        """Run ``job`` up to its first step."""
        assert self.waits_at is None
        self.answer = self.error = None
        self._jobs.put(job)
        self._wait()

    def advance(self, name: str) -> bool:
        """Make the step, if this is where the thread stands; answers whether it was."""
        if self.waits_at != name:
            return False
        self._go.release()
        self._wait()
        return True

    def finish(self) -> Any:
        """Make all the steps that are left, and answer what the job has answered, or raise what it has raised."""
        while self.waits_at is not None:
            self.advance(self.waits_at)
        if self.error is not None:
            raise self.error
        return self.answer

    def close(self) -> None:
        """End the thread, whatever it waits for."""
        self._is_closing = True
        self._go.release()
        self._jobs.put(None)
        self._thread.join(_PATIENCE)
        assert not self._thread.is_alive()

    def _wait(self) -> None:
        assert self._has_stopped.acquire(timeout=_PATIENCE), f"{self._thread.name} is stuck after {self.waits_at}"

    def _work(self) -> None:
        _here.actor = self
        while (job := self._jobs.get()) is not None:
            try:
                self.answer = job()
            except BaseException as error:  # noqa: BLE001  # finish() raises it
                self.error = error
            self.waits_at = None
            self._has_stopped.release()
        connections.close_all()

    def stop_at(self, name: str) -> None:
        if self._is_closing:
            return
        self.waits_at = name
        self._has_stopped.release()
        assert self._go.acquire(timeout=_PATIENCE), f"nobody told {self._thread.name} to go on"


_here = threading.local()


def step(name: str) -> None:
    """Wait here for one's turn; anybody who is no actor goes on at once."""
    actor: Actor | None = getattr(_here, "actor", None)
    if actor is not None:
        actor.stop_at(name)


def merges(*sequences: Sequence[str]) -> Iterator[tuple[tuple[int, str], ...]]:
    """Every order of the steps of all sequences that keeps the order of each: numbers of sequences, and steps."""
    if not any(sequences):
        yield ()
    for number, sequence in enumerate(sequences):
        if sequence:
            rest = (*sequences[:number], sequence[1:], *sequences[number + 1 :])
            for merged in merges(*rest):
                yield ((number, sequence[0]), *merged)
