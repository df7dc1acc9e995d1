"""Deleting rows for good: Django's collector, with every model's deletions taken as a change of the write path."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, cast

from django.db.models import Field, Model, Q, QuerySet
from django.db.models.deletion import CASCADE, Collector
from django.db.models.signals import post_delete, pre_delete

from ..auditing.history import attributed, has_listeners
from ..auditing.statements import delete_recorded
from ..auditing.tables import is_recording, own_table
from ..operations import Operation
from . import database_cascades, path
from .change import Call, Change, Intent
from .compiling import our_queryset
from .locking import locked, locked_keys
from .pending import active_change
from .transactions import all_or_nothing
from .versions import version_field


class WritePathCollector(Collector):
    """Collects and deletes as Django's does, cascades, restrictions and signals included.

    Where concerns apply to a model, its deleted rows are one :class:`Change`: prepared after the last ``pre_delete``,
    so that what receivers still change counts, and applied when all is deleted. Rows whose keys are set to null take
    the write path as a set update.
    """

    def __init__(self, operation: Operation, *, using: str, origin: Any) -> None:
        super().__init__(using=using, origin=origin)
        self._operation = operation
        self._changes: list[Change] = []
        #: What happens to other rows when these go: by the database itself, or to parents that stay.
        self._beside: list[Change] = []
        self._is_prepared = False

    def delete(self) -> tuple[int, dict[str, int]]:
        models = dict.fromkeys((*self.data, *(rows.model for rows in self.fast_deletes)))
        self._changes = [self._change(model) for model in models]
        updates = self._concerned_updates()
        if updates or any(path.concerns_of(model) or database_cascades.reaches_any(model) for model in models):
            with all_or_nothing(self.using, savepoint=False):
                return self._delete_concerned(updates)
        total, by_model = super().delete()  # Django's, statement for statement
        self._applied(by_model)
        return total, by_model

    def _delete_concerned(self, updates: list[Any]) -> tuple[int, dict[str, int]]:
        for field, value in updates:
            self._update_through_write_path(field, value)
        if not any(self._has_signal_listeners(model) for model in self.data):
            self._prepare()
        with ExitStack() as stack:
            for change in self._changes:
                for instance in self.data.get(change.model, ()):
                    stack.enter_context(_told(instance, change))
            statement = Call(super().delete)
            for change in self._changes:
                statement = path.fold(change, statement)
            total, by_model = statement.send()
        self._applied(by_model)
        return total, by_model

    def _concerned_updates(self) -> list[Any]:
        """The field updates, as pairs of field and value, that concerns apply to."""
        keys: Any = self.field_updates
        # Where constraints cannot be deferred, Django sets nullable keys to null before it deletes their rows too.
        return [key for key in keys if key[0].remote_field.on_delete is not CASCADE and path.concerns_of(key[0].model)]

    def _applied(self, by_model: dict[str, int]) -> None:
        for change in self._changes:
            path.applied(change, by_model.get(change.model._meta.label, 0))
        for change in self._beside:
            path.applied(change, len(_keys(change)))

    def instances_with_model(self) -> Iterator[tuple[type[Model], Model]]:
        yield from super().instances_with_model()
        # Django asks for them to send pre_delete. When it asks for one more, the receivers have run.
        self._prepare()

    def _has_signal_listeners(self, model: type[Model]) -> bool:
        return any(has_listeners(signal, model, besides_trails=True) for signal in (pre_delete, post_delete))

    def _change(self, model: type[Model]) -> Change:
        return Change(
            operation=self._operation,
            model=model,
            alias=self.using,
            kind="-",
            rows=tuple(instance.pk for instance in self.data.get(model, ())),
            sets=tuple(rows for rows in self.fast_deletes if rows.model is model),
            entity=self.origin if type(self.origin) is model else None,
            intent=Intent.DELETE,
        )

    def _prepare(self) -> None:
        if self._is_prepared:
            return
        self._is_prepared = True
        for position, change in enumerate(self._changes):
            if _is_recorded(change.model):
                change = self._changes[position] = self._fixed(change)
            path.prepare(change)
        self._beside = [*self._reached_by_database(), *self._kept_parents()]
        for change in self._beside:
            path.prepare(change)

    def _kept_parents(self) -> Iterator[Change]:
        """Parents whose version moves on because a child goes without them."""
        deleted = {change.model._meta.concrete_model for change in self._changes}
        for change in self._changes:
            version = version_field(change.model)
            if change.entity is not None and version is not None and version.model not in deleted:
                yield replace(
                    change,
                    model=version.model,
                    kind="~",
                    rows=(getattr(change.entity, version.model._meta.pk.attname),),
                    sets=(),
                    fields=frozenset({version.name}),
                    entity=None,
                    intent=Intent.SAVE,
                    memo={},
                )

    def _reached_by_database(self) -> Iterator[Change]:
        seen = {(change.model, key) for change in self._changes for key in _keys(change)}
        for change in [change for change in self._changes if database_cascades.reaches_any(change.model)]:
            keys = [*_keys(change), *(key for rows in change.sets for key in locked_keys(rows))]
            for reached in database_cascades.reached_by(change.model, keys, self.using):
                fresh = tuple(key for key in reached.keys if (reached.model, key) not in seen)
                seen.update((reached.model, key) for key in fresh)
                yield replace(
                    change,
                    model=reached.model,
                    kind="-" if reached.field is None else "~",
                    rows=fresh,
                    sets=(),
                    fields=None if reached.field is None else frozenset({reached.field}),
                    entity=None,
                    intent=Intent.DELETE if reached.field is None else Intent.SAVE,
                    memo={},
                )

    def _fixed(self, change: Change) -> Change:
        """``change`` with its rows fixed and locked, so that those recorded and those deleted are the same."""
        model = change.model
        looked_at: QuerySet[Any] = QuerySet(model, using=self.using).filter(pk__in=_keys(change))
        known = tuple(locked_keys(looked_at)) if change.rows else ()
        is_first = model not in self._operation.deleted_from
        self._operation.deleted_from.add(model)
        if not change.sets:
            return replace(change, rows=known)
        rows = _lockable(model, change.sets, self.using)
        fast_deletes: Any = self.fast_deletes
        others: list[Any] = [rows for rows in fast_deletes if rows.model is not model]
        if is_first and not known:
            # The record is the list of what to delete, unless the operation has deleted from there before.
            self.fast_deletes = cast("Any", [*others, _Recorded(change)])
            return replace(change, sets=(rows,))
        keys = tuple(locked_keys(rows))
        self.fast_deletes = [*others, QuerySet(model, using=self.using).filter(pk__in=keys)]
        return replace(change, rows=(*known, *keys), sets=())

    def _update_through_write_path(self, field: Field[Any, Any], value: Any) -> None:
        """Make the rows whose keys are set to null, or to something else, a queryset that takes the write path."""
        ours = our_queryset(field.model, self.using)
        if ours is None:
            return  # a model without a repository: its updates are Django's
        groups: list[Any] = []
        collected: Any = self.field_updates[field, value]
        for rows in collected:
            if isinstance(rows, QuerySet) and rows._result_cache is None:
                groups.append(ours.filter(pk__in=rows.order_by().values("pk")))
            else:
                groups.append(ours.filter(pk__in=[row.pk for row in rows]))
        self.field_updates[field, value] = groups


def _keys(change: Change) -> tuple[Any, ...]:
    return change.rows if isinstance(change.rows, tuple) else ()


@contextmanager
def _told(instance: Model, change: Change) -> Iterator[None]:
    """Let simple-history's receivers find on ``instance`` what is recorded already, or what they are to record."""
    with attributed(instance, change.alias), active_change(instance, change):
        yield


def _is_recorded(model: type[Model]) -> bool:
    """Whether the write path writes down which rows of ``model`` are deleted."""
    table = own_table(model)
    return table is not None and table.is_trail and is_recording()


class _Recorded:
    """In the place of a queryset to be deleted: the rows that the operation has recorded as deleted."""

    def __init__(self, change: Change) -> None:
        self.model = change.model
        self._change = change

    def _raw_delete(self, using: str) -> int:
        table = own_table(self.model)
        assert table is not None
        return delete_recorded(table, using, self._change.operation.id)


def _lockable(model: type[Model], sets: Sequence[QuerySet[Any]], alias: str) -> QuerySet[Any]:
    """All rows of ``sets`` as one queryset, locked when it is read."""
    if len(sets) == 1:
        return locked(QuerySet(model, query=sets[0].query.chain(), using=alias))
    either = Q.create([("pk__in", rows.order_by().values("pk")) for rows in sets], connector=Q.OR)
    return locked(QuerySet(model, using=alias).filter(either))
