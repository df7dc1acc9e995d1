"""QuerySets that know the verbs, and whose every terminal runs in the operation scope."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from django.db.models import QuerySet

from . import writing
from .aio import AsyncVerbs
from .operations import Attempt, OperationSpec, run
from .pagination import Page, PaginationRequest, check_caps, paginate
from .results import DeletionResult
from .terminals import ScopedTerminals
from .types import T
from .verbs import Policies
from .verbs.rows import Rows

if TYPE_CHECKING:
    from .writing.change import Change

R = TypeVar("R")


class RepositoryQuerySetMixin(AsyncVerbs[T], ScopedTerminals):
    """Put before ``QuerySet`` in the bases of a queryset class."""

    _policies: Policies = Policies()
    # What Django's QuerySet brings and this mixin uses.
    _fields: Any
    _for_write: bool
    query: Any
    _chain: Callable[[], Any]
    _not_support_combined_queries: Callable[[str], None]

    def rows(self) -> Any:
        return self._chain()

    def _own_policies(self) -> Policies:
        return self._policies

    def _clone(self) -> Any:
        clone = super()._clone()  # type: ignore[misc]
        clone._policies = self._policies
        return clone

    def paginate(self, request: PaginationRequest) -> Page[T]:
        """One page of these rows, in their order.

        Raises:
            InvalidPagination: the request exceeds a cap of the filter policy.
        """
        check_caps(request, self._policies.filters)
        rows = self._ordered(self.rows(), None)
        return self._read("paginate", rows, None, lambda _: paginate(rows, request))

    def only(self, *fields: Any) -> Any:
        """Django's ``only``; a version column comes along, without it no later save could be safe."""
        version = getattr(self.model, "version_field_name", None)
        if version is not None and fields and fields != (None,):
            fields = (*fields, version)
        return super().only(*fields)  # type: ignore[misc]

    def chunked_by_key(self, chunk_size: int) -> Iterator[T]:
        """The rows in the order of their key, one statement a chunk: for drivers that fetch whole results."""
        rows: Any = self.rows().order_by("pk")
        rows.query.standard_ordering = True  # whatever reverse() said
        page, size = rows, chunk_size
        while True:
            chunk = list(page[:size].iterator(size))
            if len(chunk) < size:
                yield from chunk
                return
            # A join may answer a row more than once, so the last one may go on behind the chunk.
            last = chunk.pop().pk
            while chunk and chunk[-1].pk == last:
                chunk.pop()
            yield from chunk
            page = rows.filter(pk__gte=last)
            size = chunk_size + 1 if chunk else 2 * size

    # Writing terminals, with Django's signatures and Django's meaning.

    def create(self, **kwargs: Any) -> T:
        django: Callable[..., T] = super().create  # type: ignore[misc]
        return self._writing("create", lambda _: django(**kwargs))

    def get_or_create(self, defaults: Any = None, **kwargs: Any) -> tuple[T, bool]:
        django: Callable[..., tuple[T, bool]] = super().get_or_create  # type: ignore[misc]
        return self._writing("get_or_create", lambda _: django(defaults, **kwargs))

    def update_or_create(self, defaults: Any = None, create_defaults: Any = None, **kwargs: Any) -> tuple[T, bool]:
        django: Callable[..., tuple[T, bool]] = super().update_or_create  # type: ignore[misc]
        return self._writing("update_or_create", lambda _: django(defaults, create_defaults, **kwargs))

    def bulk_create(
        self,
        objs: Iterable[T],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Collection[str] | None = None,
        unique_fields: Collection[str] | None = None,
    ) -> list[T]:
        writing.bulk.refuse_conflict_options(
            self.model, ignore_conflicts=ignore_conflicts, update_conflicts=update_conflicts
        )
        django = super().bulk_create  # type: ignore[misc]
        entities = list(objs)
        send = partial(
            django,
            entities,
            batch_size=batch_size,
            ignore_conflicts=ignore_conflicts,
            update_conflicts=update_conflicts,
            update_fields=update_fields,
            unique_fields=unique_fields,
        )
        return self._writing(
            "bulk_create",
            lambda attempt: writing.bulk.create(
                entities, self.model, self.db, send, attempt, overwrites=update_conflicts
            ),
        )

    def bulk_update(self, objs: Iterable[T], fields: Sequence[str], batch_size: int | None = None) -> int:
        django = super().bulk_update  # type: ignore[misc]
        entities = list(objs)
        return self._writing(
            "bulk_update",
            lambda _: writing.bulk.update_all(
                entities, fields, self._chain(), lambda: django(entities, fields, batch_size)
            ),
        )

    def _update_rows(self, **fields: Any) -> int:
        self._refuse_unwritable("update")
        values = writing.sets.columns(self.model, fields)
        if values is None or not writing.path.concerns_of(self.model):
            # Nothing of ours is active, or a name only Django can refuse.
            send = writing.change.Call(partial(self.send_update, **fields))
            return cast(
                "int", self._writing("update", lambda attempt: writing.path.execute(self._change("~", attempt), send))
            )
        count = self._writing("update", lambda attempt: writing.sets.update(self._chain(), values, attempt))
        self._result_cache = None
        return count

    def _delete_rows(self) -> DeletionResult:
        self._refuse_unwritable("delete")
        marker = self._marker()
        if marker is None:
            result = self._writing("delete", lambda attempt: writing.sets.hard_delete(self, attempt))
        else:
            rows = self._chain()
            rows.query.clear_ordering(force=True)
            result = self._writing("delete", lambda attempt: writing.sets.soft_delete_result(rows, marker, attempt))
        self._result_cache = None
        return result

    def send_update(self, **fields: Any) -> int:
        """Django's ``update`` beneath ours; the write path sends with it."""
        return super(Rows, self).update(**fields)  # type: ignore[misc,no-any-return]

    def send_bulk_create(self, entities: list[T], batch_size: int | None) -> list[T]:
        """Django's ``bulk_create`` beneath ours; the write path sends with it."""
        return super().bulk_create(entities, batch_size=batch_size)  # type: ignore[misc,no-any-return]

    def _refuse_unwritable(self, verb: str) -> None:
        """What Django refuses on a queryset, in Django's words, before any concern has touched it."""
        self._not_support_combined_queries(verb)
        if self.query.is_sliced:
            if verb == "update":
                raise TypeError("Cannot update a query once a slice has been taken.")
            raise TypeError("Cannot use 'limit' or 'offset' with delete().")
        if verb == "delete":
            if self.query.distinct_fields:
                raise TypeError("Cannot call delete() after .distinct(*fields).")
            if self._fields is not None:
                raise TypeError("Cannot call delete() after .values() or .values_list()")

    def _change(self, kind: Literal["+", "~", "-"], attempt: Attempt) -> Change:
        return writing.change.Change(operation=attempt.operation, model=self.model, alias=self.db, kind=kind)

    def _reading_spec(self, name: str) -> OperationSpec:
        return self._policies.reading(name, self.model, self.db, self)

    def _writing(self, name: str, call: Callable[[Attempt], R]) -> R:
        self._for_write = True  # so that ``db`` answers the alias that is written to
        return run(self._policies.writing(name, self.model, self.db), call)


for _name in ("create", "get_or_create", "update_or_create", "bulk_create", "bulk_update"):
    getattr(RepositoryQuerySetMixin, _name).alters_data = True
for _name in ("send_update", "send_bulk_create"):
    getattr(RepositoryQuerySetMixin, _name).alters_data = True
    getattr(RepositoryQuerySetMixin, _name).queryset_only = True


class RepositoryQuerySet(RepositoryQuerySetMixin[T], QuerySet[T]):  # type: ignore[misc]  # stubs name a parameter
    """The queryset of a ``Repository``: Django's, with the verbs and the two paths."""


# Warnings and reprs quote the name of the class. Projects, and Django's own tests, know them as Django's.
RepositoryQuerySet.__name__ = QuerySet.__name__
