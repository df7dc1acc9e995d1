"""A limit on how long a call may take that also holds when the database says nothing at all.

``statement_timeout`` cannot end a statement whose server is frozen, and ``tcp_user_timeout`` cannot help while the
other side's kernel still acknowledges. So one thread of this process watches: when a call's time is up, it shuts the
connection's socket down, and the driver that waits on it gives up.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

#: The limit in seconds that :func:`deadline` has set for the calls inside it.
_ambient: ContextVar[float | None] = ContextVar("repository_deadline", default=None)


@contextlib.contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Give each repository call inside at most so many seconds, its retries included.

    Raises:
        ValueError: not a positive number.
    """
    token = _ambient.set(require_seconds(seconds))
    try:
        yield
    finally:
        _ambient.reset(token)


def ambient_deadline() -> float | None:
    """The seconds that the surrounding :func:`deadline` gives a call, ``None`` without one."""
    return _ambient.get()


def require_seconds(value: Any) -> float:
    """``value`` as a positive number of seconds.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise ValueError("A deadline is a positive number of seconds.")
    return float(value)


class Watch:
    """One call that must be over by ``ends_at``, on the clock of ``time.monotonic``.

    The thread that makes the call attaches the connection it uses and detaches it before anybody else can have
    it. The descriptor is a duplicate: whatever number the driver's own has when the time is up, this one still means
    the same connection.
    """

    def __init__(self, ends_at: float) -> None:
        self.ends_at = ends_at
        #: The time was up before the call was over.
        self.expired = False
        #: There was a connection to cut then; without one the call was still waiting for it.
        self.has_cut = False
        #: The call is over, and nobody needs to look at the time any more.
        self.is_over = False
        self._lock = threading.Lock()
        self._cut: Callable[[], None] | None = None
        self._release: Callable[[], None] | None = None

    @property
    def remaining(self) -> float:
        """Seconds left, negative when the time is up."""
        return self.ends_at - time.monotonic()

    def attach(self, connection: BaseDatabaseWrapper) -> None:
        """Cut ``connection`` when the time is up. One that was attached before is detached."""
        self.detach()
        driver: Any = connection.connection
        if driver is None:
            return
        if connection.vendor == "sqlite":
            cut, release = driver.interrupt, _nothing
        else:
            duplicate = socket.socket(fileno=os.dup(driver.fileno()))
            cut, release = _shutdown(duplicate), duplicate.close
        with self._lock:
            self._cut, self._release = cut, release
            if self.expired:
                self._cut_off()

    def detach(self) -> None:
        """Leave the connection alone from now on."""
        with self._lock:
            release, self._cut, self._release = self._release, None, None
        if release is not None:
            release()

    def expire(self) -> None:
        with self._lock:
            self.expired = True
            self._cut_off()

    def _cut_off(self) -> None:
        if self._cut is not None:
            self.has_cut = True
            self._cut()


def _nothing() -> None:
    pass


def _shutdown(duplicate: socket.socket) -> Callable[[], None]:
    def cut() -> None:
        with contextlib.suppress(OSError):  # the other side was faster: it is cut already
            duplicate.shutdown(socket.SHUT_RDWR)

    return cut


class _Watchdog:
    """The thread that ends what takes too long. It starts with the first watch."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Nothing to watch and no thread: at the start, and in the child of a fork, where threads are gone."""
        self._condition = threading.Condition()
        self._queue: list[tuple[float, int, Watch]] = []
        self._order = itertools.count()
        self._thread: threading.Thread | None = None
        self._over = 0

    def add(self, watch: Watch) -> None:
        with self._condition:
            heapq.heappush(self._queue, (watch.ends_at, next(self._order), watch))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="repository-deadlines", daemon=True)
                self._thread.start()
            elif self._queue[0][2] is watch:
                self._condition.notify()

    def remove(self, watch: Watch) -> None:
        # Taken out of the heap when its time comes, or together with many others: searching it costs too much.
        with self._condition:
            watch.is_over = True
            self._over += 1
            if self._over > 1000 and self._over * 2 > len(self._queue):
                self._queue = [entry for entry in self._queue if not entry[2].is_over]
                heapq.heapify(self._queue)
                self._over = 0

    def _run(self) -> None:
        while True:
            with self._condition:
                while not self._queue:
                    self._condition.wait()
                due, _, watch = self._queue[0]
                left = due - time.monotonic()
                if left > 0:
                    self._condition.wait(left)
                    continue
                heapq.heappop(self._queue)
            if not watch.is_over:
                watch.expire()  # one that is over by now has nothing attached


_watchdog = _Watchdog()
os.register_at_fork(after_in_child=_watchdog.reset)


@contextlib.contextmanager
def watched(ends_at: float) -> Iterator[Watch]:
    """Watch what happens inside; the caller attaches the connections it uses."""
    watch = Watch(ends_at)
    _watchdog.add(watch)
    try:
        yield watch
    finally:
        _watchdog.remove(watch)
        watch.detach()
