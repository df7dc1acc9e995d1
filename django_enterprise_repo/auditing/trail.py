"""``AuditTrail``: a history whose every row says which operation made it, and that nothing escapes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, NotSupportedError
from django.db.models import BigAutoField, CharField, F, Index, Model, Q, QuerySet, TextField, UUIDField, Window
from django.db.models.functions import RowNumber
from django.db.models.signals import pre_save
from django.utils.translation import gettext_lazy as _
from simple_history.manager import HistoricalQuerySet, HistoryManager
from simple_history.models import HistoricalRecords
from simple_history.signals import post_create_historical_m2m_records, pre_create_historical_m2m_records

from ..context import acting_user, current_context
from ..correlation import MAX_LENGTH
from ..terminals import ScopedTerminals
from .keys import key_conditions, key_fields
from .stamps import current_correlation_id, current_operation_id, fitting


class HistoryQuerySet(ScopedTerminals, HistoricalQuerySet):  # type: ignore[misc]  # simple-history is not typed
    """simple-history's queryset, read in the operation scope, with one latest row of each whatever the clock says."""

    def _filter_or_exclude(self, negate: bool, args: Any, kwargs: Any) -> Any:
        if self._as_instances:  # then the key that is asked for is that of the entities
            args, kwargs = tuple(self._about_entities(condition) for condition in (*args, *kwargs.items())), {}
            args = tuple(Q(condition) if isinstance(condition, tuple) else condition for condition in args)
        return super()._filter_or_exclude(negate, args, kwargs)

    def _about_entities(self, condition: Any) -> Any:
        """A condition of ``filter()`` with ``pk`` read as the entity's key."""
        if isinstance(condition, Q):
            copied = condition.copy()
            copied.children = [self._about_entities(child) for child in condition.children]
            return copied
        if not isinstance(condition, tuple) or condition[0].partition("__")[0] != "pk":
            return condition
        name, value = condition
        fields = key_fields(self.model.instance_type)
        if len(fields) == 1:
            return name.replace("pk", fields[0].attname, 1), value
        if name not in ("pk", "pk__exact"):
            raise NotSupportedError("A composite key of the past is asked for whole, or by its columns.")
        return Q(**key_conditions(self.model.instance_type, value))

    def _iterator(self, *args: Any) -> Iterator[Any]:
        rows = super()._iterator(*args)
        return (row.instance if isinstance(row, self.model) else row for row in rows) if self._as_instances else rows

    def latest_of_each(self) -> Any:
        """The last row of each key; of rows with one date, the one written last."""
        # One sort of all versions: asking for each row what came after it is quadratic in the versions of a row.
        ranked = self.order_by().annotate(
            history_rank=Window(
                RowNumber(),
                partition_by=[F(field.attname) for field in key_fields(self.model.instance_type)],
                order_by=[F("history_date").desc(), F("history_id").desc()],
            )
        )
        # What is asked of the latest must not choose among the earlier, so the ranks stay in a query of their own.
        return QuerySet.filter(self, history_id__in=ranked.filter(history_rank=1).values("history_id"))


class TrailManager(HistoryManager):  # type: ignore[misc]  # simple-history is not typed
    """simple-history's manager, for composite primary keys too."""

    def get_queryset(self) -> Any:
        rows = self.get_super_queryset()
        if self.instance is None:
            return rows
        return rows.filter(**key_conditions(type(self.instance), self.instance.pk))

    def bulk_history_create(self, objs: Any, *args: Any, **kwargs: Any) -> Any:
        """simple-history's own, for instances that the write path has not recorded already.

        Its bulk helpers write through the model's manager first, and a repository keeps the history by itself.
        """
        return super().bulk_history_create([each for each in objs if not take_mark(each)], *args, **kwargs)


class _UnknownToMigrations:
    """A field whose default is for new rows only: a migration must not give old ones an operation that never was."""

    def deconstruct(self) -> tuple[str, str, list[Any], dict[str, Any]]:
        name, _path, args, kwargs = super().deconstruct()  # type: ignore[misc]
        kwargs.pop("default", None)
        return name, f"django.db.models.{self.get_internal_type()}", args, kwargs  # type: ignore[attr-defined]


class _OperationField(_UnknownToMigrations, UUIDField):  # type: ignore[type-arg]  # generic in its stubs only
    pass


class _CorrelationField(_UnknownToMigrations, CharField):  # type: ignore[type-arg]  # generic in its stubs only
    pass


class AuditTrail(HistoricalRecords):  # type: ignore[misc]  # simple-history is not typed
    """A ``HistoricalRecords`` with the operation, the correlation id and a reason of any length as columns.

    Its rows are written by the write path, in the transaction of the change and on the database of the model:
    one row a change, whoever makes it. Changes that pass the write path by (a plain model's own ``save()``,
    a deletion that cascades from a plain model) are recorded through simple-history's signals.

    Takes every option of ``HistoricalRecords`` but two, which would break that promise. Of the columns that it copies
    only the primary key is indexed, unless ``no_db_index`` says which are not: histories are read by row, time and
    operation, and every index makes every change slower.

    Raises:
        TypeError: ``cascade_delete_history`` or ``use_base_model_db=False`` is given.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        if options.get("cascade_delete_history"):
            raise TypeError("An AuditTrail outlives its rows; cascade_delete_history is no option.")
        if not options.setdefault("use_base_model_db", True):
            raise TypeError("An AuditTrail is on its model's database; use_base_model_db=False is no option.")
        options.setdefault("history_id_field", BigAutoField())
        options.setdefault("history_change_reason_field", TextField(null=True))
        options.setdefault("history_manager", TrailManager)
        options.setdefault("historical_queryset", HistoryQuerySet)
        self._copies_indexes = "no_db_index" in options
        super().__init__(*args, **options)

    def copy_fields(self, model: Any) -> dict[str, Any]:
        fields: dict[str, Any] = super().copy_fields(model)
        if not self._copies_indexes:
            key = {name for field in key_fields(model) for name in (field.name, field.attname)}
            for name, field in fields.items():
                if name not in key:
                    field.db_index = False
        return fields

    def fields_included(self, model: Any) -> list[Any]:
        # A composite key is made of columns that are all there.
        return [field for field in super().fields_included(model) if field.column is not None]

    def finalize(self, sender: Any, **kwargs: Any) -> None:
        super().finalize(sender, **kwargs)
        if hasattr(sender._meta, "simple_history_manager_attribute"):
            pre_save.connect(self.pre_save, sender=sender, weak=False)

    def get_extra_fields(self, model: type[Model], fields: Any) -> dict[str, Any]:
        return {
            **super().get_extra_fields(model, fields),
            "history_operation_id": _OperationField(
                _("operation"), null=True, editable=False, db_index=True, default=current_operation_id
            ),
            "history_correlation_id": _CorrelationField(
                _("correlation"), max_length=MAX_LENGTH, null=True, editable=False, default=current_correlation_id
            ),
        }

    def get_meta_options(self, model: Any) -> dict[str, Any]:
        options: dict[str, Any] = super().get_meta_options(model)
        key = key_fields(model)
        if len(key) > 1:  # the column of a single key has an index of its own
            options["indexes"] = (Index(fields=[field.attname for field in key]),)
        return options

    def _get_history_change_reason_field(self) -> Any:
        return super()._get_history_change_reason_field().clone()  # a trail may be inherited by several models

    def get_history_user(self, instance: Any) -> Any:
        if hasattr(instance, "_history_user"):
            return instance._history_user
        alias = instance._state.db
        return (acting_user(alias) if alias else None) or super().get_history_user(instance)

    def get_change_reason_for_object(self, instance: Any, history_type: str, using: str | None) -> Any:
        given = super().get_change_reason_for_object(instance, history_type, using)
        field = self.history_change_reason_field
        return fitting(current_context().reason if given is None else given, field.max_length)

    # simple-history's receivers, for changes that pass the write path by.

    def pre_save(self, instance: Any, raw: bool = False, using: str | None = None, **kwargs: Any) -> None:
        """Ask for the acting user before the row is written: an unknown one is an error, and then nothing is."""
        if not (raw or is_recorded(instance) or hasattr(instance, "_history_user")):
            acting_user(using or DEFAULT_DB_ALIAS)

    def post_save(self, instance: Any, created: bool, using: str | None = None, **kwargs: Any) -> None:
        if not is_recorded(instance):
            super().post_save(instance, created, using=using, **kwargs)

    def pre_delete(self, instance: Any, **kwargs: Any) -> None:
        if not is_recorded(instance):
            super().pre_delete(instance, **kwargs)

    def post_delete(self, instance: Any, using: str | None = None, **kwargs: Any) -> None:
        if not is_recorded(instance):
            super().post_delete(instance, using=using, **kwargs)

    def m2m_changed(
        self,
        instance: Any,
        action: str,
        attr: str,
        pk_set: Any,
        reverse: bool,
        model: Any = None,
        using: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Record the rows whose relation has changed, from whichever side it was changed, where they are."""
        if not reverse:
            if action in ("post_add", "post_remove", "post_clear"):
                self._record_related([instance], using)
            return
        # The instance is on the other side. What it was related to is gone once it is cleared.
        owners = model._base_manager.using(using)
        if action == "pre_clear":
            relation = model._meta.get_field(attr)
            instance._state.cleared_owners = list(owners.filter((f"{relation.name}__pk", instance.pk)))
        elif action == "post_clear":
            self._record_related(instance._state.__dict__.pop("cleared_owners", ()), using)
        elif action in ("post_add", "post_remove"):
            self._record_related(owners.filter(pk__in=pk_set), using)

    def _record_related(self, owners: Iterable[Any], using: str | None) -> None:
        if not getattr(settings, "SIMPLE_HISTORY_ENABLED", True):
            return
        for owner in owners:
            if not hasattr(owner, "skip_history_when_saving"):
                self.create_historical_record(owner, "~", using=using)

    def create_historical_record_m2ms(self, history_instance: Any, instance: Any) -> None:
        """Copy the many-to-many rows of ``instance`` on the database of its history."""
        alias = history_instance._state.db
        for field in history_instance._history_m2m_fields:
            through, history = field.remote_field.through, self.m2m_models[field]
            names = [column.name for column in through._meta.fields]
            related = through._base_manager.using(alias).filter((field.m2m_field_name(), instance.pk))
            rows = [
                history(history=history_instance, **{name: getattr(row, name) for name in names})
                for row in related.select_related(field.m2m_field_name(), field.m2m_reverse_field_name())
            ]
            told = {"sender": history, "history_instance": history_instance, "instance": instance, "field": field}
            pre_create_historical_m2m_records.send(rows=rows, **told)
            created = history._base_manager.using(alias).bulk_create(rows)
            post_create_historical_m2m_records.send(created_rows=created, **told)


def mark_recorded(instances: Iterable[Any]) -> None:
    """Note that the history of a bulk write of ``instances`` is written, for simple-history's bulk helpers."""
    for instance in instances:
        instance._state.is_bulk_recorded = True


def take_mark(instance: Any) -> bool:
    """Whether the last write of ``instance`` was a recorded bulk write; true once."""
    return bool(instance._state.__dict__.pop("is_bulk_recorded", False))


def is_recorded(instance: Any) -> bool:
    """Whether the write path has recorded, or is about to record, the change that a signal tells of."""
    active = getattr(instance._state, "active_change", None)
    return active is not None and active.owner is instance
