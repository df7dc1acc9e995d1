"""What is wrong with a client's input, collected until nothing more can be said."""

from __future__ import annotations

from typing import Any

from ..exceptions import Problem

# A hostile input can be wrong in a million places; a person mends the first few and tries again.
_MOST = 20
_LONGEST_ECHO = 60

Path = tuple[str | int, ...]


class Problems(list[Problem]):
    """The problems found so far."""

    @property
    def is_full(self) -> bool:
        """Whether more of them would help nobody."""
        return len(self) >= _MOST

    def report(self, path: Path, code: str, message: str) -> None:
        """Add a problem; names of the path may be as the client wrote them."""
        if not self.is_full:
            self.append(Problem(tuple(step if isinstance(step, int) else _shown(step) for step in path), code, message))


def echo(text: Any) -> str:
    """A client's name in a message: short, and with nothing that could act on a terminal or a log."""
    if not isinstance(text, str):
        return type(text).__name__
    return repr(text if len(text) <= _LONGEST_ECHO else text[: _LONGEST_ECHO - 1] + "…")


def _shown(name: str) -> str:
    return echo(name)[1:-1]


def unknown_field(text: Any) -> str:
    """One message for names that don't exist and names that may not be used, so that neither can be told."""
    return f"unknown field {echo(text)}"
