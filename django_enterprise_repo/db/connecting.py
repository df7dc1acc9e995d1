"""Connecting to a server that may never answer, in a thread that can be left behind."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ..resilience.deadlines import Watch


def connect_within(watch: Watch, connect: Callable[[], Any], error: type[Exception]) -> Any:
    """What ``connect`` answers, if it does before the time is up.

    There is no socket yet that could be cut, and drivers round what they are told to wait up to whole seconds. So
    the connecting is left to a thread of its own; a connection that comes too late is closed there.

    Raises:
        Exception: ``error``, a class of the driver, when the time is up; else what ``connect`` raises.
    """
    outcome: list[Any] = []
    failure: list[BaseException] = []
    lock = threading.Lock()
    done = threading.Event()
    left_behind = threading.Event()

    def work() -> None:
        try:
            made = connect()
        except BaseException as raised:  # noqa: BLE001  # it is raised again by whoever waits for it
            failure.append(raised)
        else:
            with lock:
                if left_behind.is_set():
                    _give_back(made)
                else:
                    outcome.append(made)
        done.set()

    threading.Thread(target=work, name="repository-connect", daemon=True).start()
    if not done.wait(max(0.0, watch.remaining)):
        with lock:
            left_behind.set()
            if not outcome and not failure:
                watch.expire()
                raise error("No connection within the deadline.")
    if failure:
        raise failure[0]
    return outcome[0]


def _give_back(made: Any) -> None:
    pool = getattr(made, "_pool", None)
    if pool is None:
        made.close()
    else:
        pool.putconn(made)
