"""Assert how many statements a piece of code sends, so that N+1 cannot come back unnoticed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DEFAULT_DB_ALIAS, connections
from django.test.utils import CaptureQueriesContext


@contextmanager
def assert_queries(expected: int, *, using: str = DEFAULT_DB_ALIAS) -> Iterator[CaptureQueriesContext]:
    """Fail unless exactly ``expected`` statements are sent on ``using`` inside the block.

    Raises:
        AssertionError: listing the statements that were sent.
    """
    with CaptureQueriesContext(connections[using]) as captured:
        yield captured
    if len(captured) != expected:
        raise AssertionError(_report(f"Expected {expected} statements", captured))


@contextmanager
def assert_max_queries(limit: int, *, using: str = DEFAULT_DB_ALIAS) -> Iterator[CaptureQueriesContext]:
    """Fail when more than ``limit`` statements are sent on ``using`` inside the block.

    Raises:
        AssertionError: listing the statements that were sent.
    """
    with CaptureQueriesContext(connections[using]) as captured:
        yield captured
    if len(captured) > limit:
        raise AssertionError(_report(f"Expected at most {limit} statements", captured))


def _report(expectation: str, captured: CaptureQueriesContext) -> str:
    listing = "\n".join(f"{number}. {query['sql']}" for number, query in enumerate(captured.captured_queries, 1))
    return f"{expectation}, {len(captured)} were sent:\n{listing}"
