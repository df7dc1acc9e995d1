"""Abstract models whose every save and delete takes the write path.

A manager alone covers the verbs and the writes of querysets. Inheriting one of these adds plain ``save()``
and ``delete()``, and with them forms, the admin, fixtures and the ``add()`` of related managers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.db import models, router
from django.utils.translation import gettext_lazy as _

from . import writing
from .exceptions import InvalidArgument
from .repository import Repository
from .results import DeletionResult
from .soft_delete.markers import Marker, model_marker

if TYPE_CHECKING:
    from typing import Self


class UnfilteredRepository(Repository[Any]):
    """A repository that hides nothing: what Django follows foreign keys and refreshes instances with."""

    shows_deleted = True


class RepositoryModel(models.Model):
    """A model whose saves and deletes take the write path, whoever calls them."""

    objects: ClassVar[Repository[Self]] = Repository()
    #: Every row, deleted ones and those outside a repository's scope included.
    all_objects: ClassVar[UnfilteredRepository] = UnfilteredRepository()

    #: Tells the write path that saves and deletes of this class come to it by themselves.
    takes_write_path: ClassVar[bool] = True

    class Meta:
        abstract = True
        base_manager_name = "all_objects"

    def save_base(
        self,
        raw: bool = False,
        force_insert: Any = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
    ) -> None:
        writing.saving.save_base(
            self,
            super().save_base,
            raw=raw,
            force_insert=force_insert,
            force_update=force_update,
            using=using,
            update_fields=update_fields,
        )

    save_base.alters_data = True  # type: ignore[attr-defined]

    def refresh_from_db(self, using: str | None = None, fields: Any = None, from_queryset: Any = None) -> None:
        """Django's own; a refresh of some columns leaves the version as it was held.

        The other columns are as old as they were, and only the old version makes a later save notice.
        """
        version = None if fields is None else writing.versions.version_field(type(self))
        if version is None or {version.name, version.attname} & set(fields):
            super().refresh_from_db(using=using, fields=fields, from_queryset=from_queryset)
            return
        held = {name: value for name, value in self.__dict__.items() if name == version.attname}
        super().refresh_from_db(using=using, fields=fields, from_queryset=from_queryset)
        self.__dict__.pop(version.attname, None)
        self.__dict__.update(held)

    def _save_table(self, *args: Any, **kwargs: Any) -> Any:
        updated = super()._save_table(*args, **kwargs)  # type: ignore[misc]
        table = kwargs["cls"] if "cls" in kwargs else args[1]
        if table is self._meta.concrete_model:
            writing.saving.table_saved(self, updated)
        return updated

    def _do_update(  # type: ignore[override]  # 5.2 gives no returning fields
        self,
        base_qs: models.QuerySet[Any],
        using: str | None,
        pk_val: Any,
        values: list[tuple[models.Field[Any, Any], Any, Any]],
        update_fields: Any,
        forced_update: Any,
        *returning: Any,
    ) -> Any:
        def send(statement: Any) -> Any:
            triples = [(field, None, value) for field, value in statement.values.items()]
            return super(RepositoryModel, self)._do_update(
                statement.narrowed(), using, pk_val, triples, update_fields, forced_update, *returning
            )

        assigned = {field: value for field, _, value in values}
        return writing.saving.update_table(self, base_qs, assigned, send, pk=pk_val, returns_columns=any(returning))

    def delete(self, using: str | None = None, keep_parents: bool = False) -> DeletionResult:
        """Delete this row: softly where its model can, with one PROTECT check and no cascade yet.

        Raises:
            ProtectedError, RestrictedError: living rows refer to it; nothing was written.
            StaleObjectError: the model is versioned and the row is not as it was read.
        """
        return writing.entities.delete(self, self._write_alias(using), self._marker(), keep_parents=keep_parents)

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.takes_write_path = True  # type: ignore[attr-defined]

    def hard_delete(self, using: str | None = None, keep_parents: bool = False) -> DeletionResult:
        """Delete this row for good, with Django's cascade, whether or not it was soft-deleted before."""
        return writing.entities.delete(
            self, self._write_alias(using), self._marker(), hard=True, keep_parents=keep_parents
        )

    hard_delete.alters_data = True  # type: ignore[attr-defined]
    hard_delete.takes_write_path = True  # type: ignore[attr-defined]

    def restore(self, using: str | None = None) -> DeletionResult:
        """Bring this row back if it is soft-deleted.

        Raises:
            InvalidArgument: the model cannot be soft-deleted.
            StaleObjectError: the model is versioned and the row is not as it was read.
        """
        marker = self._marker()
        if marker is None:
            raise InvalidArgument(f"{self._meta.label} has no soft-delete marker, so nothing can be restored.")
        return writing.entities.restore(self, self._write_alias(using), marker)

    restore.alters_data = True  # type: ignore[attr-defined]

    def _write_alias(self, using: str | None) -> str:
        return using or router.db_for_write(type(self), instance=self)

    def _marker(self) -> Marker | None:
        return model_marker(type(self))


class SoftDeleteModel(RepositoryModel):
    """A model whose rows are marked instead of deleted.

    ``deleted_at`` is the moment, ``deleted_by`` the acting user where one is known, ``deletion_id`` the
    deletion that took the row, shared by all rows that one call deleted.
    """

    if TYPE_CHECKING:
        # Said alike in every base, so that type checkers let a model have several of them.
        _default_manager: ClassVar[Repository[Any]]

    deleted_at = models.DateTimeField(_("deleted at"), null=True, blank=True, editable=False)
    deleted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("deleted by"),
        null=True,
        blank=True,
        editable=False,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    deletion_id = models.UUIDField(_("deletion"), null=True, blank=True, editable=False, db_index=True)

    class Meta(RepositoryModel.Meta):
        abstract = True
        default_permissions = ("add", "change", "delete", "view", "restore")


class VersionedModel(RepositoryModel):
    """A model with optimistic locking: whoever writes with an outdated version gets ``StaleObjectError``."""

    #: Name of the column that holds the version.
    version_field_name: ClassVar[str] = "version"

    if TYPE_CHECKING:
        _default_manager: ClassVar[Repository[Any]]

    version = models.PositiveBigIntegerField(_("version"), default=1, editable=False)

    class Meta(RepositoryModel.Meta):
        abstract = True
