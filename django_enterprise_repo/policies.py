"""Frozen configuration values that a ``Repository`` carries as class attributes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class SoftDeletePolicy:
    """Which column says that a row is deleted.

    Attributes:
        field: name of the marker column.
        marker: ``"timestamp"`` (null means alive) or ``"flag"`` (true means alive).
        deleted_by: column that takes the user who deleted, if the model has it.
        deletion_id: column that takes the id of the deletion, if the model has it.
    """

    field: str
    marker: Literal["timestamp", "flag"] = "timestamp"
    deleted_by: str = "deleted_by"
    deletion_id: str = "deletion_id"
