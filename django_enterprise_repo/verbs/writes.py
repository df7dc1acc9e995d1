"""What the verbs that write share.

Each takes ``user=``/``user_id=``, ``reason=`` and ``using=``, and none commits for its caller.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from django.db.models import Field

from .. import writing
from ..context import operation_context
from ..exceptions import InvalidArgument
from ..operations import Attempt, OperationSpec, run
from ..types import T
from .rows import Rows

R = TypeVar("R")


class Writes(Rows[T]):
    """A verb is one operation, attributed to whom its arguments name."""

    def _normalised(self, values: Mapping[Field[Any, Any], Any]) -> dict[Field[Any, Any], Any]:
        return {field: writing.arguments.normalised(field, value) for field, value in values.items()}

    def _write(
        self, name: str, alias: str, body: Callable[[Attempt], R], *, user: Any, user_id: Any, reason: str | None
    ) -> R:
        spec = OperationSpec(name, self.model, alias, "write")
        if user is None and user_id is None and reason is None:
            return run(spec, body)
        with operation_context(user=user, user_id=user_id, reason=reason):
            return run(spec, body)

    def _expect(self, entity: T, expected_version: int | None) -> None:
        if expected_version is None:
            return
        field = writing.versions.version_field(type(entity))
        if field is None:
            raise InvalidArgument(f"{self.model._meta.label} has no version to expect.")
        if type(expected_version) is not int:
            raise InvalidArgument("expected_version= takes an int.")
        setattr(entity, field.attname, expected_version)
