"""What every verb starts from: the rows of a repository or queryset, narrowed step by step."""

from __future__ import annotations

import builtins
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, cast

from django.db import router
from django.db.models import Model, Prefetch, Q

from .. import filtering, scoping
from ..exceptions import InvalidArgument, InvalidArgumentType
from ..loading import load_related
from ..operations import OperationSpec
from ..policies import BreakerPolicy, FilterPolicy, Project, RetryPolicy
from ..resilience.repeatable import is_repeatable
from ..soft_delete import visibility
from ..soft_delete.markers import Marker, SoftDeleteSetting, marker_of, model_marker
from ..types import Filters, OrderBy, T

if TYPE_CHECKING:
    from ..caching.compiled import KeyedRead
    from ..querysets import RepositoryQuerySet

#: One instance for all that declare nothing, so that it is resolved once a model.
_OPEN = FilterPolicy()


class Policies(NamedTuple):
    """What a queryset keeps of the repository it came from. Picklable, unlike a related manager's class."""

    filters: FilterPolicy = _OPEN
    soft_delete: SoftDeleteSetting = "deleted_at"
    unfiltered: bool = False
    retry: RetryPolicy | Project | None = "project"
    breaker: BreakerPolicy | Project | None = "project"

    def marker(self, model: type[Model]) -> Marker | None:
        return model_marker(model) if self.unfiltered else marker_of(model, self.soft_delete)

    def reading(
        self, name: str, model: type[Model], alias: str, rows: Any | None, deadline: float | None = None
    ) -> OperationSpec:
        """An operation that reads ``rows``, tried again and guarded as the repository says.

        ``None`` stands for rows that are chosen by nothing but their key.
        """
        repeatable = True if rows is None else partial(is_repeatable, rows)
        return OperationSpec(name, model, alias, "read", repeatable, deadline, self.retry, self.breaker is not None)

    def writing(self, name: str, model: type[Model], alias: str, deadline: float | None = None) -> OperationSpec:
        """An operation that writes."""
        return OperationSpec(name, model, alias, "write", False, deadline, self.retry, self.breaker is not None)


if TYPE_CHECKING:

    class _Subscriptable(Generic[T]):
        pass

else:

    class _Subscriptable:
        # As Django's managers and querysets: ``Repository["Product"]`` is the same class, and a queryset may
        # be turned into one of another class, which typing.Generic would not allow.
        def __class_getitem__(cls, *args: Any, **kwargs: Any) -> Any:
            return cls


class Rows(_Subscriptable[T]):
    """The common ground of a repository and its querysets."""

    model: type[T]
    _db: str | None
    _hints: dict[str, Any]

    @abstractmethod
    def rows(self) -> RepositoryQuerySet[T]:
        """A fresh queryset of the rows that are this object's own."""

    @abstractmethod
    def _own_policies(self) -> Policies:
        """The policies of the repository."""

    # Narrowing. Each answers a new queryset and sends nothing.

    def where(self, filters: Filters | None) -> RepositoryQuerySet[T]:
        """Rows that match a dict filter, within the repository's filter policy.

        Raises:
            InvalidFilter: with every problem of the filter and the path to it.
        """
        rows = self.rows()
        compiled = filtering.compile_filter(self.model, self._own_policies().filters, filters)
        return rows if compiled.is_empty else rows.filter(compiled.q())

    def sort_by(self, *order_by: str) -> RepositoryQuerySet[T]:
        """Rows in an order such as ``"price:desc"``; the primary key breaks ties.

        Raises:
            InvalidOrdering: with every problem of the ordering.
        """
        ordering = filtering.compile_ordering(self.model, self._own_policies().filters, order_by)
        return self.rows().order_by(*ordering.expressions())

    def load(self, *paths: str | Prefetch[Any]) -> RepositoryQuerySet[T]:
        """Load relations together with the rows, by a join where one row is at the end, else by one query more.

        Raises:
            InvalidArgument: a path names no relation.
        """
        return load_related(self.rows(), paths)

    def with_deleted(self) -> RepositoryQuerySet[T]:
        """Soft-deleted rows too."""
        rows = self.rows()
        visibility.show_deleted(rows)
        return rows

    def only_deleted(self) -> RepositoryQuerySet[T]:
        """Soft-deleted rows only.

        Raises:
            InvalidArgument: the model cannot be soft-deleted.
        """
        rows = self.rows()
        visibility.only_deleted(rows, self._require_marker())
        return rows

    # What verbs share.

    def _selected(
        self,
        filters: Filters | None = None,
        equals: Mapping[str, Any] | None = None,
        *,
        include_deleted: bool = False,
        load: Iterable[str | Prefetch[Any]] = (),
        using: str | None = None,
    ) -> RepositoryQuerySet[T]:
        rows = self.where(filters) if filters is not None else self.rows()
        if equals:
            rows = rows.filter(*trusted_equals(self.model, equals))
        if include_deleted:
            visibility.show_deleted(rows)
        if load:
            rows = load_related(rows, load)
        return rows if using is None else rows.using(using)

    def _ordered(self, rows: RepositoryQuerySet[T], order_by: OrderBy | None) -> RepositoryQuerySet[T]:
        explicit = rows.query.order_by
        if explicit and (order_by is None or order_by in ((), [])):
            # Somebody called Django's order_by(); the key still has to make it a total order.
            return rows if "pk" in explicit or "-pk" in explicit else rows.order_by(*explicit, "pk")
        if isinstance(order_by, str):
            raise InvalidArgumentType(f"order_by= takes a sequence of terms; write [{order_by!r}].")
        ordering = filtering.compile_ordering(self.model, self._own_policies().filters, order_by)
        return rows.order_by(*ordering.expressions())

    def _read_alias(self, using: str | None) -> str:
        return using or self._db or router.db_for_read(self.model, **self._routing_hints())

    def _write_alias(self, using: str | None, entity: Model | None = None) -> str:
        hints = self._routing_hints()
        if entity is not None and (entity._state.db is not None or "instance" not in hints):
            hints = {**hints, "instance": entity}
        return using or self._db or router.db_for_write(self.model, **hints)

    def _routing_hints(self) -> dict[str, Any]:
        # Django gives the hint of a related manager to its querysets only.
        return {**self._hints, "instance": cast("Any", self).instance} if is_related(self) else self._hints

    def _keyed_read(self, alias: str) -> KeyedRead | None:
        """How one of these rows is read by its key, where they are all that the model has."""
        return None

    def _may_be_narrowed(self) -> bool:
        """Whether these may be fewer than all rows; where not, nobody has to build a queryset to find out."""
        return True

    def _marker(self) -> Marker | None:
        return self._own_policies().marker(self.model)

    def _require_marker(self) -> Marker:
        marker = self._marker()
        if marker is None:
            raise InvalidArgument(f"{self.model._meta.label} has no soft-delete marker.")
        return marker

    def _require_inside(self, entity: T, alias: str) -> None:
        """Refuse an entity that is not among these rows, deleted or not. A query only where rows are narrowed.

        Raises:
            Model.DoesNotExist: as if the row did not exist, which for this repository it doesn't.
        """
        if not self._may_be_narrowed():
            return
        rows = self.rows()
        if rows.query.is_sliced or rows.query.combinator:
            raise InvalidArgument(
                "A slice or a combination of querysets cannot say whether an entity is among its rows."
            )
        if not scoping.is_narrowed(rows, visibility.is_visibility):
            return
        visibility.show_deleted(rows)
        if not rows.using(alias).order_by().filter(pk=entity.pk).exists():
            raise self.model.DoesNotExist(f"The {self.model._meta.label} is not among the rows of this repository.")  # type: ignore[attr-defined]


def is_related(manager: object) -> bool:
    """Whether ``manager`` was made by Django for the rows on the other side of a relation."""
    return hasattr(manager, "core_filters")


def trusted_equals(model: type[Model], equals: Mapping[str, Any]) -> builtins.list[Q]:
    """Keyword conditions: columns and relations by name, equality only.

    Raises:
        InvalidArgument: a name that is no column of the model; Django's lookups belong to ``filter()``.
    """
    conditions = []
    names = _condition_names(model)
    for name, value in equals.items():
        if name not in names:
            raise InvalidArgument(
                f"{name!r} is no column of {model._meta.label}; keyword conditions compare columns for equality, "
                "lookups belong to filter()."
            )
        conditions.append(Q((name, value)))
    return conditions


def _condition_names(model: type[Model]) -> frozenset[str]:
    fields = model._meta.concrete_fields
    return frozenset({"pk", *(field.name for field in fields), *(field.attname for field in fields)})
