"""What deleting and restoring answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self
from uuid import UUID


class DeletionResult(tuple[int, dict[str, int]]):
    """Django's pair ``(total, {label: count})`` with the id of the operation that did it."""

    operation_id: UUID

    def __new__(cls, total: int, rows: Mapping[str, int], operation_id: UUID) -> Self:
        result = super().__new__(cls, (total, dict(rows)))
        result.operation_id = operation_id
        return result

    @property
    def total(self) -> int:
        """How many rows were deleted or restored, of all models together."""
        return self[0]

    @property
    def rows(self) -> dict[str, int]:
        """How many of each model, by label."""
        return self[1]

    def __reduce__(self) -> tuple[Any, ...]:
        return DeletionResult, (self.total, self.rows, self.operation_id)
