"""The verbs that write one entity."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast, overload

from django.db.models import Model

from .. import writing
from ..exceptions import InvalidArgument
from ..operations import Attempt
from ..results import DeletionResult
from ..soft_delete import visibility
from ..types import T
from .writes import Writes


class EntityVerbs(Writes[T]):
    """add, update, delete, restore and commit_and_refresh."""

    def add(
        self,
        entity: T,
        *,
        user: Any = None,
        user_id: Any = None,
        reason: str | None = None,
        using: str | None = None,
        deadline: float | None = None,
        validate: bool = False,
        savepoint: bool = True,
    ) -> T:
        """Insert ``entity`` and answer it with its values as the fields hold them.

        Raises:
            IntegrityError: its key or a unique value is taken; no row is overwritten.
            ValidationError: with ``validate``, what ``full_clean()`` finds.
            InvalidArgumentType: not an instance of this model.
        """
        writing.arguments.require_entity(self.model, entity)
        alias = self._write_alias(using, entity)

        def body(attempt: Attempt) -> T:
            attempt.remember(entity)
            if validate:
                entity.full_clean()
            writing.entities.insert(entity, alias, attempt, savepoint=savepoint)
            return entity

        return self._write("add", alias, body, user=user, user_id=user_id, reason=reason, deadline=deadline)

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
        deadline: float | None = ...,
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
            writing.arguments.refuse_ambiguous(self.model, kwargs)
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
        deadline: float | None = ...,
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
        deadline: float | None = None,
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
            return writing.entities.restore(entity, alias, marker, savepoint=savepoint)

        return self._write("restore", alias, body, user=user, user_id=user_id, reason=reason, deadline=deadline)

    def commit_and_refresh(
        self,
        entity: T,
        *,
        durable: bool = False,
        user: Any = None,
        user_id: Any = None,
        reason: str | None = None,
        using: str | None = None,
        deadline: float | None = None,
    ) -> T:
        """Save ``entity`` in its own transaction, or inside the one around it, then read it back.

        It never commits somebody else's transaction.

        Args:
            durable: refuse to be inside another transaction, so that returning means it is committed.

        Raises:
            RuntimeError: ``durable`` inside another transaction.
        """
        writing.arguments.require_entity(self.model, entity)
        alias = self._write_alias(using, entity)

        def body(attempt: Attempt) -> T:
            attempt.remember(entity)
            with writing.transactions.all_or_nothing(alias, durable=durable):
                if entity._state.adding:
                    writing.entities.insert(entity, alias, attempt, savepoint=False)
                else:
                    self._require_inside(entity, alias)
                    writing.entities.update(entity, {}, alias, attempt, savepoint=False)
                entity.refresh_from_db(using=alias)
            return entity

        return self._write(
            "commit_and_refresh", alias, body, user=user, user_id=user_id, reason=reason, deadline=deadline
        )

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
        deadline: float | None = None,
        validate: bool = False,
        expected_version: int | None = None,
        savepoint: bool = True,
        **fields: Any,
    ) -> T:
        values = self._normalised(writing.arguments.changed_fields(self.model, changes, fields))
        if not values and not writing.arguments.is_entity(self.model, entity_or_pk):
            raise InvalidArgument("update() with a primary key needs at least one column to change.")
        version = writing.versions.version_field(self.model)
        if version is not None and version in values:
            raise InvalidArgument(f"{version.name!r} moves by itself; expected_version= says which one you know.")
        alias = self._write_alias(using, self._entity_hint(entity_or_pk))

        def body(attempt: Attempt) -> T:
            entity = self._resolve(entity_or_pk, alias)
            attempt.remember(entity)
            self._expect(entity, expected_version)
            if validate:
                for field, value in values.items():
                    writing.entities.set_value(entity, field, value)
                entity.full_clean()
            writing.entities.update(entity, values, alias, attempt, savepoint=savepoint)
            return entity

        return self._write("update", alias, body, user=user, user_id=user_id, reason=reason, deadline=deadline)

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
        deadline: float | None = None,
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
                return writing.entities.delete(entity, alias, marker, hard=hard, savepoint=savepoint)
            with writing.transactions.all_or_nothing(alias, savepoint=savepoint):
                answer = own_method(entity, using=alias)
            return answer if isinstance(answer, DeletionResult) else _deletion(answer, entity, attempt)

        return self._write("delete", alias, body, user=user, user_id=user_id, reason=reason, deadline=deadline)

    def _update_rows(self, **fields: Any) -> int:
        raise NotImplementedError

    def _delete_rows(self) -> DeletionResult:
        raise NotImplementedError

    def _resolve(self, entity_or_pk: T | Any, alias: str, *, include_deleted: bool = False) -> T:
        """The entity that a verb was given, or the row with the key that it was given, from these rows."""
        if writing.arguments.is_entity(self.model, entity_or_pk):
            entity: T = writing.arguments.require_saved(self.model, entity_or_pk)
            self._require_inside(entity, alias)
            return entity
        rows = self.rows()
        if include_deleted:
            visibility.show_deleted(rows)
        return cast("T", rows.using(alias)._find("get", writing.arguments.require_key(self.model, entity_or_pk)))

    def _entity_hint(self, entity_or_pk: T | Any) -> T | None:
        return entity_or_pk if writing.arguments.is_entity(self.model, entity_or_pk) else None


for _verb in (
    EntityVerbs.add,
    EntityVerbs.update,
    EntityVerbs.delete,
    EntityVerbs.restore,
    EntityVerbs.commit_and_refresh,
):
    # Templates must not be able to call them.
    cast("Any", _verb).alters_data = True
# As Django's own: a manager made of a queryset must not delete every row by a call without arguments.
cast("Any", EntityVerbs.delete).queryset_only = True


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
