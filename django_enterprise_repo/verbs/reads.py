"""What the verbs that read share: each is one operation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ..exceptions import InvalidArgument
from ..operations import Attempt, run
from ..resilience.deadlines import require_seconds
from ..types import T
from .rows import Rows

R = TypeVar("R")


class Reads(Rows[T]):
    """A verb that reads, on the database that the router names for it."""

    def _read(
        self,
        name: str,
        rows: Any,
        using: str | None,
        body: Callable[[Attempt], R],
        *,
        for_update: bool = False,
        deadline: float | None = None,
        shortcut: Callable[[], R] | None = None,
    ) -> R:
        alias = self._write_alias(using) if for_update else self._read_alias(using)
        limit = None if deadline is None else require_deadline(deadline)
        return run(self._own_policies().reading(name, self.model, alias, rows, limit), body, shortcut)


def require_deadline(value: Any) -> float:
    """``value`` as a positive number of seconds.

    Raises:
        InvalidArgument: it is none.
    """
    try:
        return require_seconds(value)
    except ValueError as error:
        raise InvalidArgument(str(error)) from None
