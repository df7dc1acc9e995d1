"""The verbs that write many rows."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, cast

from .. import writing
from ..exceptions import EmptyPredicate, InvalidArgument
from ..operations import Attempt
from ..scoping import is_bound
from ..soft_delete import visibility
from ..types import Filters, T
from .relations import adopt, link
from .writes import Writes


class SetVerbs(Writes[T]):
    """add_all, update_all, delete_all and restore_all."""

    def add_all(
        self,
        new: Iterable[T],
        batch_size: int | None = None,
        *,
        user: Any = None,
        user_id: Any = None,
        reason: str | None = None,
        using: str | None = None,
        deadline: float | None = None,
        savepoint: bool = True,
    ) -> builtins.list[T]:
        """Insert all entities or none, ``batch_size`` rows a statement, and answer them.

        On a related manager they become members of the relation, as with Django's ``create()``.

        Raises:
            IntegrityError: a key or a unique value is taken; nothing was inserted.
            InvalidArgumentType: an item is not an instance of this model; nothing was sent.
        """
        batch_size = writing.arguments.require_batch_size(batch_size)
        listed = writing.arguments.require_entities(self.model, new)
        alias = self._write_alias(using)
        if not listed:
            return listed
        rows = self.rows().using(alias)

        def body(attempt: Attempt) -> builtins.list[T]:
            attempt.remember(*listed)
            adopt(self, listed)
            send = partial(rows.send_bulk_create, listed, batch_size)
            with writing.transactions.all_or_nothing(alias, savepoint=savepoint):
                writing.bulk.insert_all(listed, self.model, alias, send, attempt)
                link(self, listed)
            return listed

        return self._write("add_all", alias, body, user=user, user_id=user_id, reason=reason, deadline=deadline)

    def update_all(
        self,
        filters: Filters | None = None,
        changes: Mapping[str, Any] | None = None,
        /,
        *,
        everything: bool = False,
        user: Any = None,
        user_id: Any = None,
        reason: str | None = None,
        using: str | None = None,
        deadline: float | None = None,
        savepoint: bool = True,
        **fields: Any,
    ) -> int:
        """Change the same columns of every matching row and answer how many there were.

        Values may be expressions such as ``F("stock") - 1``.

        Raises:
            EmptyPredicate: no condition limits the rows, and ``everything`` was not said.
            InvalidArgument: an unknown column, or nothing to change.
        """
        if changes is None:
            options = {"everything": everything, "user": user, "user_id": user_id, "reason": reason, "using": using}
            writing.arguments.refuse_ambiguous(self.model, [name for name, value in options.items() if value])
        values = self._normalised(writing.arguments.changed_fields(self.model, changes, fields))
        if not values:
            raise InvalidArgument("update_all() needs at least one column to change.")
        alias = self._write_alias(using)
        rows = self._bound(filters, alias, everything)

        def body(attempt: Attempt) -> int:
            touched = writing.sets.touch(self.model, values, attempt.operation.moment)
            return writing.sets.update(rows, touched, attempt, savepoint=savepoint)

        return self._write("update_all", alias, body, user=user, user_id=user_id, reason=reason, deadline=deadline)

    def delete_all(
        self,
        filters: Filters | None = None,
        /,
        *,
        everything: bool = False,
        hard: bool = False,
        user: Any = None,
        user_id: Any = None,
        reason: str | None = None,
        using: str | None = None,
        deadline: float | None = None,
        savepoint: bool = True,
    ) -> int:
        """Delete every matching row, softly where the model can, and answer how many there were.

        Raises:
            EmptyPredicate: no condition limits the rows, and ``everything`` was not said.
            ProtectedError, RestrictedError: living rows refer to one of them; nothing was written.
        """
        alias = self._write_alias(using)
        rows = self._bound(filters, alias, everything)
        marker = None if hard else self._marker()

        def body(attempt: Attempt) -> int:
            if marker is not None:
                return writing.sets.soft_delete(rows, marker, attempt, savepoint=savepoint)
            with writing.transactions.all_or_nothing(alias, savepoint=savepoint):
                result = writing.sets.hard_delete(rows, attempt)
            return result.rows.get(self.model._meta.label, 0)  # a proxy's rows are counted under its own name

        return self._write("delete_all", alias, body, user=user, user_id=user_id, reason=reason, deadline=deadline)

    def restore_all(
        self,
        filters: Filters | None = None,
        /,
        *,
        everything: bool = False,
        user: Any = None,
        user_id: Any = None,
        reason: str | None = None,
        using: str | None = None,
        deadline: float | None = None,
        savepoint: bool = True,
    ) -> int:
        """Bring every matching deleted row back and answer how many there were.

        Raises:
            EmptyPredicate: no condition limits the rows, and ``everything`` was not said.
            InvalidArgument: the model cannot be soft-deleted.
        """
        marker = self._require_marker()
        alias = self._write_alias(using)
        rows = self._bound(filters, alias, everything)
        visibility.show_deleted(rows)

        def body(attempt: Attempt) -> int:
            return writing.sets.restore(rows, marker, attempt, savepoint=savepoint)

        return self._write("restore_all", alias, body, user=user, user_id=user_id, reason=reason, deadline=deadline)

    def _bound(self, filters: Filters | None, alias: str, everything: bool) -> Any:
        rows = self._selected(filters).using(alias)
        if not everything and not is_bound(rows):
            raise EmptyPredicate(
                f"No condition limits the rows of {self.model._meta.label}; say everything=True to mean all of them."
            )
        return rows


for _verb in (
    SetVerbs.add_all,
    SetVerbs.update_all,
    SetVerbs.delete_all,
    SetVerbs.restore_all,
):
    # Templates must not be able to call them.
    cast("Any", _verb).alters_data = True
