"""See which operations a piece of code performed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..operations import Operation, describe, operation_finished


class OperationLog(list[Operation]):
    """The operations in the order in which they finished."""

    @property
    def names(self) -> list[str]:
        """The verb or queryset method of each."""
        return [operation.spec.name for operation in self]

    def of(self, model: type[Any]) -> OperationLog:
        """Only the operations on ``model``."""
        return OperationLog(operation for operation in self if operation.spec.model is model)

    def __str__(self) -> str:
        return "\n".join("{operation} {model} on {alias}: {outcome}".format(**describe(op)) for op in self)


@contextmanager
def capture_operations() -> Iterator[OperationLog]:
    """Collect every operation that finishes inside the block, in this thread and in others."""
    log = OperationLog()

    def receive(sender: Any, operation: Operation, **kwargs: Any) -> None:
        log.append(operation)

    operation_finished.connect(receive, weak=False)
    try:
        yield log
    finally:
        operation_finished.disconnect(receive)
