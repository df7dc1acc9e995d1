"""The verbs that write. Each takes ``user=``/``user_id=``, ``reason=`` and ``using=``; none commits for its caller."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeVar, cast, overload

from django.db.models import Field, Model

from ..context import operation_context
from ..exceptions import EmptyPredicate, InvalidArgument
from ..operations import Attempt, OperationSpec, run
from ..results import DeletionResult
from ..scoping import is_bound
from ..soft_delete import visibility
from ..types import Filters, T
from ..writing import arguments, bulk, entities, sets
from ..writing.transactions import all_or_nothing
from ..writing.versions import version_field
from .rows import Rows

R = TypeVar("R")


class WriteVerbs(Rows[T]):
    """add, update, delete, restore, of one entity and of sets."""

    def add(
        self,
        entity: T,
        *,
        user: Any = None,
        user_id: Any = None,
        reason: str | None = None,
        using: str | None = None,
        validate: bool = False,
        savepoint: bool = True,
    ) -> T:
        """Insert ``entity`` and answer it with its values as the fields hold them.

        Raises:
            IntegrityError: its key or a unique value is taken; no row is overwritten.
            ValidationError: with ``validate``, what ``full_clean()`` finds.
            InvalidArgumentType: not an instance of this model.
        """
        arguments.require_entity(self.model, entity)
        alias = self._write_alias(using, entity)

        def body(attempt: Attempt) -> T:
            if validate:
                entity.full_clean()
            entities.insert(entity, alias, attempt, savepoint=savepoint)
            return entity

        return self._write("add", alias, body, user=user, user_id=user_id, reason=reason)

    @overload
    def update(
        self,
        entity_or_pk: T | Any,
        changes: Mapping[str, Any] | None = ...,
        /,
        *,
        user: Any = ...,
        user_id: Any = ...,
        reason: str | None = ...,
        using: str | None = ...,
        validate: bool = ...,
        expected_version: int | None = ...,
        savepoint: bool = ...,
        **fields: Any,
    ) -> T: ...
    @overload
    def update(self, **fields: Any) -> int: ...
    def update(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[misc]  # mypy wants the names
        """Change some columns of one entity; called with keywords alone it is Django's own ``update`` of all rows.

        Only the changed columns are written, with the version and the ``auto_now`` columns. An entity without
        changes is written whole.

        Args:
            expected_version: the version the new values rest on, where it travelled apart from the entity.
            validate: run ``full_clean()`` before writing.

        Raises:
            StaleObjectError: the row is not as it was read; the entity is as it was before the call.
            Model.DoesNotExist: the row is gone or not among these.
            InvalidArgument: an unknown column, or nothing to change.
        """
        if not args:
            return self._update_rows(**kwargs)
        if len(args) < 2 or args[1] is None:
            arguments.refuse_ambiguous(self.model, kwargs)
        return self._update_entity(*args, **kwargs)

    @overload
    def delete(
        self,
        entity_or_pk: T | Any,
        /,
        *,
        hard: bool = ...,
        user: Any = ...,
        user_id: Any = ...,
        reason: str | None = ...,
        using: str | None = ...,
        expected_version: int | None = ...,
        savepoint: bool = ...,
    ) -> DeletionResult: ...
    @overload
    def delete(self) -> DeletionResult: ...
    def delete(self, *args: Any, **kwargs: Any) -> DeletionResult:
        """Delete one entity, softly where its model can; on a queryset and without arguments, delete its rows.

        Args:
            hard: delete the row for good, with Django's cascade.

        Raises:
            ProtectedError, RestrictedError: living rows refer to it; nothing was written.
            StaleObjectError: the row is not as it was read.
            Model.DoesNotExist: there is no such row among these.
        """
        if not args:
            return self._delete_rows(**kwargs)
        return self._delete_entity(*args, **kwargs)

    def restore(
        self,
        entity_or_pk: T | Any,
        /,
        *,
        user: Any = None,
        user_id: Any = None,
        reason: str | None = None,
        using: str | None = None,
        expected_version: int | None = None,
        savepoint: bool = True,
    ) -> DeletionResult:
        """Bring one soft-deleted entity back; one that is alive counts as 0.

        Raises:
            InvalidArgument: the model cannot be soft-deleted.
            StaleObjectError: the row is not as it was read.
            Model.DoesNotExist: there is no such row among these.
        """
        marker = self._require_marker()
        alias = self._write_alias(using, self._entity_hint(entity_or_pk))

        def body(attempt: Attempt) -> DeletionResult:
            entity = self._resolve(entity_or_pk, alias, include_deleted=True)
            attempt.remember(entity)
            self._expect(entity, expected_version)
            return entities.restore(entity, alias, marker, savepoint=savepoint)

        return self._write("restore", alias, body, user=user, user_id=user_id, reason=reason)

    def add_all(
        self,
        new: Iterable[T],
        batch_size: int | None = None,
        *,
        user: Any = None,
        user_id: Any = None,
        reason: str | None = None,
        using: str | None = None,
        savepoint: bool = True,
    ) -> builtins.list[T]:
        """Insert all entities or none, ``batch_size`` rows a statement, and answer them.

        Raises:
            IntegrityError: a key or a unique value is taken; nothing was inserted.
            InvalidArgumentType: an item is not an instance of this model; nothing was sent.
        """
        batch_size = arguments.require_batch_size(batch_size)
        listed = arguments.require_entities(self.model, new)
        alias = self._write_alias(using)
        if not listed:
            return listed
        rows = self.rows().using(alias)

        def body(attempt: Attempt) -> builtins.list[T]:
            send = partial(rows.send_bulk_create, listed, batch_size)
            bulk.insert_all(listed, self.model, alias, send, attempt, savepoint=savepoint)
            return listed

        return self._write("add_all", alias, body, user=user, user_id=user_id, reason=reason)

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
            arguments.refuse_ambiguous(self.model, [name for name, value in options.items() if value])
        values = self._normalised(arguments.changed_fields(self.model, changes, fields))
        if not values:
            raise InvalidArgument("update_all() needs at least one column to change.")
        alias = self._write_alias(using)
        rows = self._bound(filters, alias, everything)

        def body(attempt: Attempt) -> int:
            touched = sets.touch(self.model, values, attempt.operation.moment)
            return sets.update(rows, touched, attempt, savepoint=savepoint)

        return self._write("update_all", alias, body, user=user, user_id=user_id, reason=reason)

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
                return sets.soft_delete(rows, marker, attempt, savepoint=savepoint)
            with all_or_nothing(alias, savepoint=savepoint):
                result = sets.hard_delete(rows, attempt)
            return result.rows.get(arguments.concrete_model(self.model)._meta.label, 0)

        return self._write("delete_all", alias, body, user=user, user_id=user_id, reason=reason)

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
            return sets.restore(rows, marker, attempt, savepoint=savepoint)

        return self._write("restore_all", alias, body, user=user, user_id=user_id, reason=reason)

    def commit_and_refresh(
        self,
        entity: T,
        *,
        durable: bool = False,
        user: Any = None,
        user_id: Any = None,
        reason: str | None = None,
        using: str | None = None,
    ) -> T:
        """Save ``entity`` in its own transaction, or inside the one around it, then read it back.

        It never commits somebody else's transaction.

        Args:
            durable: refuse to be inside another transaction, so that returning means it is committed.

        Raises:
            RuntimeError: ``durable`` inside another transaction.
        """
        arguments.require_entity(self.model, entity)
        alias = self._write_alias(using, entity)

        def body(attempt: Attempt) -> T:
            attempt.remember(entity)
            with all_or_nothing(alias, durable=durable):
                if entity._state.adding:
                    entities.insert(entity, alias, attempt, savepoint=False)
                else:
                    self._require_inside(entity, alias)
                    entities.update(entity, {}, alias, attempt, savepoint=False)
                entity.refresh_from_db(using=alias)
            return entity

        return self._write("commit_and_refresh", alias, body, user=user, user_id=user_id, reason=reason)

    def _update_entity(
        self,
        entity_or_pk: T | Any,
        changes: Mapping[str, Any] | None = None,
        /,
        *,
        user: Any = None,
        user_id: Any = None,
        reason: str | None = None,
        using: str | None = None,
        validate: bool = False,
        expected_version: int | None = None,
        savepoint: bool = True,
        **fields: Any,
    ) -> T:
        values = self._normalised(arguments.changed_fields(self.model, changes, fields))
        if not values and not arguments.is_entity(self.model, entity_or_pk):
            raise InvalidArgument("update() with a primary key needs at least one column to change.")
        alias = self._write_alias(using, self._entity_hint(entity_or_pk))

        def body(attempt: Attempt) -> T:
            entity = self._resolve(entity_or_pk, alias)
            attempt.remember(entity)
            self._expect(entity, expected_version)
            if validate:
                for field, value in values.items():
                    entities.set_value(entity, field, value)
                entity.full_clean()
            entities.update(entity, values, alias, attempt, savepoint=savepoint)
            return entity

        return self._write("update", alias, body, user=user, user_id=user_id, reason=reason)

    def _delete_entity(
        self,
        entity_or_pk: T | Any,
        /,
        *,
        hard: bool = False,
        user: Any = None,
        user_id: Any = None,
        reason: str | None = None,
        using: str | None = None,
        expected_version: int | None = None,
        savepoint: bool = True,
    ) -> DeletionResult:
        marker = self._marker()
        alias = self._write_alias(using, self._entity_hint(entity_or_pk))

        def body(attempt: Attempt) -> DeletionResult:
            entity = self._resolve(entity_or_pk, alias, include_deleted=hard)
            attempt.remember(entity)
            self._expect(entity, expected_version)
            own_method = _own_method(type(entity), "hard_delete" if hard else "delete", soft=marker is not None)
            if own_method is None:
                return entities.delete(entity, alias, marker, hard=hard, savepoint=savepoint)
            with all_or_nothing(alias, savepoint=savepoint):
                answer = own_method(entity, using=alias)
            return answer if isinstance(answer, DeletionResult) else _deletion(answer, entity, attempt)

        return self._write("delete", alias, body, user=user, user_id=user_id, reason=reason)

    def _update_rows(self, **fields: Any) -> int:
        raise NotImplementedError

    def _delete_rows(self) -> DeletionResult:
        raise NotImplementedError

    def _resolve(self, entity_or_pk: T | Any, alias: str, *, include_deleted: bool = False) -> T:
        """The entity that a verb was given, or the row with the key that it was given, from these rows."""
        if arguments.is_entity(self.model, entity_or_pk):
            entity: T = arguments.require_saved(self.model, entity_or_pk)
            self._require_inside(entity, alias)
            return entity
        rows = self.rows()
        if include_deleted:
            visibility.show_deleted(rows)
        return rows.using(alias)._get_by_key(arguments.require_key(self.model, entity_or_pk))

    def _entity_hint(self, entity_or_pk: T | Any) -> T | None:
        return entity_or_pk if arguments.is_entity(self.model, entity_or_pk) else None

    def _expect(self, entity: T, expected_version: int | None) -> None:
        if expected_version is None:
            return
        field = version_field(type(entity))
        if field is None:
            raise InvalidArgument(f"{self.model._meta.label} has no version to expect.")
        if type(expected_version) is not int:
            raise InvalidArgument("expected_version= takes an int.")
        setattr(entity, field.attname, expected_version)

    def _bound(self, filters: Filters | None, alias: str, everything: bool) -> Any:
        rows = self._selected(filters).using(alias)
        if not everything and not is_bound(rows):
            raise EmptyPredicate(
                f"No condition limits the rows of {self.model._meta.label}; say everything=True to mean all of them."
            )
        return rows

    def _normalised(self, values: Mapping[Field[Any, Any], Any]) -> dict[Field[Any, Any], Any]:
        return {field: arguments.normalised(field, value) for field, value in values.items()}

    def _write(
        self, name: str, alias: str, body: Callable[[Attempt], R], *, user: Any, user_id: Any, reason: str | None
    ) -> R:
        spec = OperationSpec(name, self.model, alias, "write")
        if user is None and user_id is None and reason is None:
            return run(spec, body)
        with operation_context(user=user, user_id=user_id, reason=reason):
            return run(spec, body)


for _verb in (
    WriteVerbs.add,
    WriteVerbs.update,
    WriteVerbs.delete,
    WriteVerbs.restore,
    WriteVerbs.add_all,
    WriteVerbs.update_all,
    WriteVerbs.delete_all,
    WriteVerbs.restore_all,
    WriteVerbs.commit_and_refresh,
):
    # Templates must not be able to call them.
    cast("Any", _verb).alters_data = True


def _own_method(model: type[Model], name: str, *, soft: bool) -> Callable[..., Any] | None:
    """The model's own way of deleting a row, ``None`` where the write path does all there is to do.

    A plain model's ``delete()`` means a hard deletion, so it has no say in a soft one.
    """
    method: Callable[..., Any] | None = getattr(model, name, None)
    if method is None:
        method, soft = model.delete, False
    if getattr(method, "takes_write_path", False):
        return None
    is_ours = any(getattr(vars(base).get(name), "takes_write_path", False) for base in model.__mro__)
    return None if soft and not is_ours else method


def _deletion(answer: Any, entity: Any, attempt: Attempt) -> DeletionResult:
    """What an overridden ``delete()`` or Django's own answered, with the operation's id."""
    total, rows = answer if isinstance(answer, tuple) and len(answer) == 2 else (1, {entity._meta.label: 1})
    return DeletionResult(total, rows, attempt.operation.id)
