"""What the verbs that write share.

Each takes ``user=``/``user_id=``, ``reason=`` and ``using=``, and none commits for its caller.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from django.db.models import Field

from .. import writing
from ..context import operation_context
from ..exceptions import InvalidArgument
from ..operations import Attempt, run
from ..types import T
from .reads import require_deadline
from .rows import Rows

if TYPE_CHECKING:
    from ..operations.unit_of_work import UnitOfWork

R = TypeVar("R")


class Writes(Rows[T]):
    """A verb is one operation, attributed to whom its arguments name."""

    def _normalised(self, values: Mapping[Field[Any, Any], Any]) -> dict[Field[Any, Any], Any]:
        return {field: writing.arguments.normalised(field, value) for field, value in values.items()}

    def _write(
        self,
        name: str,
        alias: str,
        body: Callable[[Attempt], R],
        *,
        user: Any,
        user_id: Any,
        reason: str | None,
        deadline: float | None,
    ) -> R:
        limit = None if deadline is None else require_deadline(deadline)
        spec = self._own_policies().writing(name, self.model, alias, limit)
        if user is None and user_id is None and reason is None:
            return run(spec, body)
        with operation_context(user=user, user_id=user_id, reason=reason):
            return run(spec, body)

    def atomic(
        self,
        *,
        retries: int = 0,
        deadline: float | None = None,
        using: str | None = None,
        durable: bool = False,
        verify_commit: bool = False,
    ) -> UnitOfWork:
        """A unit of work: decorate a function with it, or call its ``run()``, and each call is one transaction.

        Args:
            retries: how often the whole function may be called again when its transaction is known not to have been
                applied and may succeed a moment later: after a serialization failure, a deadlock, a lost connection.
            deadline: seconds that all attempts together may take.
            durable: refuse to be inside another transaction.
            verify_commit: when the connection is lost between COMMIT and its answer, ask PostgreSQL what became of it.
                Costs one statement before each COMMIT.

        Raises:
            InvalidArgument: a wrong number, or ``verify_commit`` on a database that cannot tell.
        """
        from ..operations.unit_of_work import UnitOfWork, with_retries

        limit = None if deadline is None else require_deadline(deadline)
        alias = self._write_alias(using)
        spec = self._own_policies().writing("atomic", self.model, alias, limit)
        return UnitOfWork(spec._replace(retry=with_retries(spec.retry, retries)), durable=durable, verify=verify_commit)

    def _expect(self, entity: T, expected_version: int | None) -> None:
        if expected_version is None:
            return
        field = writing.versions.version_field(type(entity))
        if field is None:
            raise InvalidArgument(f"{self.model._meta.label} has no version to expect.")
        if type(expected_version) is not int:
            raise InvalidArgument("expected_version= takes an int.")
        setattr(entity, field.attname, expected_version)
