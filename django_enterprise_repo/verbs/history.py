"""The verbs about the past: versions of a row, rows as they were, differences, and the way back."""

from __future__ import annotations

import builtins
import datetime
from typing import TYPE_CHECKING, Any, cast

from django.db.models import Exists, OuterRef, QuerySet

from .. import auditing, scoping, writing
from ..exceptions import InvalidArgument
from ..operations import Attempt, run
from ..soft_delete import visibility
from ..types import T
from .keyed import primary_key
from .writes import Writes

if TYPE_CHECKING:
    from ..auditing.reading import Difference
    from ..auditing.tables import HistoryTable


class HistoryVerbs(Writes[T]):
    """history, as_of, diff and revert_to; for models with an ``AuditTrail`` or a ``HistoricalRecords``.

    Where a repository or queryset is narrowed, its past is that of the rows that are inside now.
    """

    def history(self, pk: Any, /, *, using: str | None = None) -> QuerySet[Any]:
        """The versions of the row with this key, newest first, as a queryset of history rows.

        Raises:
            InvalidArgument: the model has no history.
        """
        table, alias = self._history_table(), self._read_alias(using)
        versions = auditing.reading.versions_of(table, primary_key(self.model, pk), alias)
        return self._inside(versions, table, alias)

    def as_of(
        self, moment: datetime.datetime, /, *, include_deleted: bool = False, using: str | None = None
    ) -> QuerySet[T]:
        """The rows as they were at ``moment``, each once, as a queryset of entities that are not to be saved.

        Args:
            include_deleted: those too that were soft-deleted then.

        Raises:
            InvalidArgument: the model has no history.
        """
        table, alias = self._history_table(), self._read_alias(using)
        rows = self._inside(auditing.reading.rows_as_of(table, moment, alias), table, alias)
        marker = None if include_deleted else self._marker()
        return rows if marker is None else rows.filter(marker.alive())

    def diff(self, pk: Any, old: Any, new: Any = None, /, *, using: str | None = None) -> builtins.list[Difference]:
        """What differs between two versions of a row.

        Args:
            old, new: history rows or their ``history_id``; the latest version when ``new`` is left out.

        Raises:
            DoesNotExist: of the history's model: there is no such version of this row.
            InvalidArgument: the model has no history.
        """
        table, alias = self._history_table(), self._read_alias(using)

        def body() -> builtins.list[Difference]:
            before = self._version(table, pk, old, alias)
            after = self.history(pk, using=alias).first() if new is None else self._version(table, pk, new, alias)
            return auditing.reading.differences(table, before, after)

        spec = self._own_policies().reading("diff", self.model, alias, self.rows())
        return run(spec, lambda _: body())

    def revert_to(
        self,
        pk: Any,
        version: Any,
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
    ) -> T:
        """Make a row what it was in ``version``: one more change, with a record of its own.

        A soft-deleted row is restored by it, one that was deleted for good is inserted again. Columns that move by
        themselves (the version, ``auto_now``) go on; columns that the history leaves out stay, and so do many-to-many
        relations.

        Args:
            version: a history row or its ``history_id``.

        Raises:
            InvalidArgument: the version is that of a deleted row, or the model has no history.
            StaleObjectError: ``expected_version`` is not the row's.
            DoesNotExist: there is no such version of this row, or the row is not among these.
        """
        table, alias = self._history_table(), self._write_alias(using)

        def body(attempt: Attempt) -> T:
            past = self._version(table, pk, version, alias)
            rows = self.rows().using(alias)
            visibility.show_deleted(rows)
            entity = rows.filter(pk=primary_key(self.model, pk)).first()
            if entity is not None:
                attempt.remember(entity)
                self._expect(entity, expected_version)
            return cast(
                "T",
                writing.reverting.revert(
                    table, past, entity, self._marker(), alias, attempt, validate=validate, savepoint=savepoint
                ),
            )

        return self._write("revert_to", alias, body, user=user, user_id=user_id, reason=reason, deadline=deadline)

    def _history_table(self) -> HistoryTable:
        table = auditing.tables.own_table(self.model)
        if table is None:
            raise InvalidArgument(f"{self.model._meta.label} has no history.")
        return table

    def _version(self, table: HistoryTable, pk: Any, version: Any, alias: str) -> Any:
        found = auditing.reading.version_of(table, primary_key(self.model, pk), version, alias)
        return self._inside(QuerySet(table.history, using=alias).filter(pk=found.pk), table, alias).get()

    def _inside(self, versions: QuerySet[Any], table: HistoryTable, alias: str) -> QuerySet[Any]:
        """Only versions of rows that are among these, where these are not all there are."""
        rows = self.rows()
        if not scoping.is_narrowed(rows, visibility.is_visibility):
            return versions
        visibility.show_deleted(rows)
        key = {field.attname: OuterRef(field.attname) for field in auditing.keys.key_fields(table.model)}
        return versions.filter(Exists(rows.using(alias).order_by().filter(**key)))


cast("Any", HistoryVerbs.revert_to).alters_data = True
