"""The pattern language of ``like`` and ``ilike``, parsed once and rendered for each engine.

``%`` is any run of characters, also an empty one and also across lines; ``_`` is exactly one code point;
``\\%``, ``\\_`` and ``\\\\`` are the characters themselves. Any other use of the backslash is refused,
because the engines disagree on it.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from functools import lru_cache


class Wildcard(Enum):
    """The tokens of a pattern that are no literal character."""

    ANY = "%"
    ONE = "_"


Token = str | Wildcard
Tokens = tuple[Token, ...]


class PatternError(ValueError):
    """A pattern outside the language."""


@lru_cache(maxsize=1024)
def parse_pattern(pattern: str) -> Tokens:
    """The tokens of ``pattern``; runs of ``%`` count as one.

    Raises:
        PatternError: a backslash before anything but ``%``, ``_`` and itself.
    """
    tokens: list[Token] = []
    characters = iter(pattern)
    for character in characters:
        if character == "\\":
            literal = next(characters, "")
            if literal not in ("%", "_", "\\"):
                raise PatternError("a backslash may only stand before %, _ or a backslash")
            tokens.append(literal)
        elif character == "_":
            tokens.append(Wildcard.ONE)
        elif character != "%":
            tokens.append(character)
        elif not tokens or tokens[-1] is not Wildcard.ANY:
            tokens.append(Wildcard.ANY)
    return tuple(tokens)


def escape(text: str) -> str:
    """``text`` as a pattern that matches it literally."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def wildcards(tokens: Iterable[Token]) -> int:
    """How many runs of any length a pattern has: what its cost grows with."""
    return sum(token is Wildcard.ANY for token in tokens)


def as_like(tokens: Tokens, escape_character: str) -> str:
    """The pattern for SQL's LIKE with this escape character."""
    special = {"%", "_", escape_character}
    return "".join(
        token.value if isinstance(token, Wildcard) else escape_character + token if token in special else token
        for token in tokens
    )


def as_glob(tokens: Tokens) -> str:
    """The pattern for SQLite's GLOB, where only brackets can make a character literal."""
    glob = {Wildcard.ANY: "*", Wildcard.ONE: "?"}
    special = frozenset("*?[")
    return "".join(
        glob[token] if isinstance(token, Wildcard) else f"[{token}]" if token in special else token for token in tokens
    )


def fold(text: str) -> str:
    """``text`` in lower case, code point by code point.

    The length never changes and no context counts (a final sigma is a sigma), which is what PostgreSQL's and
    MariaDB's folding does. Only U+0130 lowers to two code points; its first one is kept.
    """
    return "".join(character.lower()[0] for character in text)


@lru_cache(maxsize=1024)
def folded(pattern: str) -> Tokens:
    """The tokens of ``pattern`` with its literals folded."""
    return tuple(token if isinstance(token, Wildcard) else fold(token) for token in parse_pattern(pattern))


def matches(tokens: Tokens, text: str) -> bool:
    """Whether ``text`` as a whole matches. Time grows with the product of the lengths, never faster."""
    position = at = 0
    retry_token, retry_at = -1, 0
    while at < len(text):
        token = tokens[position] if position < len(tokens) else None
        if token is Wildcard.ANY:
            retry_token, retry_at = position, at
            position += 1
        elif token is Wildcard.ONE or token == text[at]:
            position += 1
            at += 1
        elif retry_token >= 0:
            # Let the last % swallow one more character and go on from there.
            retry_at += 1
            position, at = retry_token + 1, retry_at
        else:
            return False
    return all(token is Wildcard.ANY for token in tokens[position:])
