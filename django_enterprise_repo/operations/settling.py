"""When what an operation has written is there for good."""

from __future__ import annotations

from collections.abc import Callable

from ..resilience.guards import is_in_transaction, is_opened_by_test
from .operation import Operation


def when_committed(operation: Operation, tell: Callable[[], None]) -> None:
    """Call ``tell`` once an operation that has ended well is committed, and never if it is rolled back.

    At once outside a transaction, and in one that a ``TestCase`` has opened, which counts for none here as elsewhere.
    Of a transaction that was begun without Django's ``atomic()`` nobody hears the end, so nothing is told.
    """
    connection = operation.connection
    if not is_in_transaction(connection) or is_opened_by_test(connection):
        tell()
    elif connection.in_atomic_block:
        connection.on_commit(tell, robust=True)
