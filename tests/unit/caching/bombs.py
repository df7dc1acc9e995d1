"""A pickle that tells when somebody has opened it."""

from __future__ import annotations

from typing import Any


class Bomb:
    """Goes off where its pickle is loaded, in this process."""

    exploded = 0

    def __reduce__(self) -> tuple[Any, ...]:
        return Bomb.explode, ()

    @classmethod
    def explode(cls) -> None:
        cls.exploded += 1

    @classmethod
    def defuse(cls) -> int:
        """How often it went off; from now on never."""
        exploded, cls.exploded = cls.exploded, 0
        return exploded
