"""Connections and forks: a child leaves those of its parent alone.

Both hold the same socket. What the child sends there arrives between the parent's statements, and already its closing
a connection says goodbye in the parent's name. So a forked child begins without connections.
"""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Disowning(Protocol):
    def disown(self) -> None:
        """Forget, in a forked child, what belongs to the parent."""


_owners: WeakSet[Disowning] = WeakSet()


def after_fork(owner: Disowning) -> None:
    """Have ``owner`` disown what it has in every child of this process."""
    _owners.add(owner)


def detach_socket(descriptor: int) -> None:
    """Let ``descriptor`` lead nowhere in this process; whoever else has its socket keeps it."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    try:
        os.dup2(nowhere, descriptor)
    finally:
        os.close(nowhere)


def _after_fork_in_child() -> None:
    for owner in list(_owners):
        owner.disown()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork_in_child)
