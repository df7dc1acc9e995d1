"""The async twins of the verbs, one line each: Django's ORM is synchronous underneath."""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Iterable, Mapping
from itertools import islice
from typing import Any, cast, overload

from asgiref.sync import sync_to_async

from .pagination import Page, PaginationRequest
from .results import DeletionResult
from .types import Filters, Load, OrderBy, T
from .verbs import EntityVerbs, HistoryVerbs, ReadVerbs, SetVerbs


class AsyncVerbs(ReadVerbs[T], EntityVerbs[T], SetVerbs[T], HistoryVerbs[T]):
    """Every verb and, with an ``a`` before its name, its twin for async code."""

    async def aget(self, *args: Any, **kwargs: Any) -> T:
        return await sync_to_async(self.get)(*args, **kwargs)

    async def aget_or_none(self, pk: Any, /, **options: Any) -> T | None:
        return await sync_to_async(self.get_or_none)(pk, **options)

    async def aget_many(
        self,
        pks: Iterable[Any],
        /,
        *,
        include_deleted: bool = False,
        load: Load = (),
        using: str | None = None,
        deadline: float | None = None,
        fresh: bool = False,
    ) -> dict[Any, T]:
        return await sync_to_async(self.get_many)(
            pks, include_deleted=include_deleted, load=load, using=using, deadline=deadline, fresh=fresh
        )

    async def aget_by(self, filters: Filters | None = None, /, **options: Any) -> T | None:
        return await sync_to_async(self.get_by)(filters, **options)

    @overload
    async def alist(
        self,
        filters: Filters | None = ...,
        order_by: OrderBy | None = ...,
        pagination: None = ...,
        include_deleted: bool = ...,
        load: Load = ...,
        only: Iterable[str] = ...,
        using: str | None = ...,
        deadline: float | None = ...,
    ) -> builtins.list[T]: ...
    @overload
    async def alist(
        self,
        filters: Filters | None = ...,
        order_by: OrderBy | None = ...,
        *,
        pagination: PaginationRequest,
        include_deleted: bool = ...,
        load: Load = ...,
        only: Iterable[str] = ...,
        using: str | None = ...,
        deadline: float | None = ...,
    ) -> Page[T]: ...
    async def alist(
        self,
        filters: Filters | None = None,
        order_by: OrderBy | None = None,
        pagination: PaginationRequest | None = None,
        include_deleted: bool = False,
        load: Load = (),
        only: Iterable[str] = (),
        using: str | None = None,
        deadline: float | None = None,
    ) -> builtins.list[T] | Page[T]:
        arguments: tuple[Any, ...] = (filters, order_by, pagination, include_deleted, load, only, using, deadline)
        return await sync_to_async(self.list)(*arguments)

    async def acount(self, *filters: Filters | None, **equals: Any) -> int:
        return await sync_to_async(self.count)(*filters, **equals)

    async def aexists(self, *filters: Filters | None, **equals: Any) -> bool:
        return await sync_to_async(self.exists)(*filters, **equals)

    async def astream(
        self,
        filters: Filters | None = None,
        order_by: OrderBy | None = None,
        chunk_size: int = 2000,
        *,
        include_deleted: bool = False,
        load: Load = (),
        only: Iterable[str] = (),
        using: str | None = None,
    ) -> AsyncIterator[T]:
        rows = await sync_to_async(self.stream)(
            filters, order_by, chunk_size, include_deleted=include_deleted, load=load, only=only, using=using
        )
        take = sync_to_async(lambda: builtins.list(islice(rows, chunk_size)))
        while chunk := await take():
            for row in chunk:
                yield row

    async def aadd(self, entity: T, **options: Any) -> T:
        return await sync_to_async(self.add)(entity, **options)

    @overload
    async def aupdate(
        self, entity_or_pk: T | Any, changes: Mapping[str, Any] | None = ..., /, **options_and_fields: Any
    ) -> T: ...
    @overload
    async def aupdate(self, **fields: Any) -> int: ...
    async def aupdate(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[misc]  # mypy wants the names
        return await sync_to_async(self.update)(*args, **kwargs)

    @overload
    async def adelete(self, entity_or_pk: T | Any, /, **options: Any) -> DeletionResult: ...
    @overload
    async def adelete(self) -> DeletionResult: ...
    async def adelete(self, *args: Any, **kwargs: Any) -> DeletionResult:  # type: ignore[misc]  # as above
        return await sync_to_async(self.delete)(*args, **kwargs)

    async def arestore(self, entity_or_pk: T | Any, /, **options: Any) -> DeletionResult:
        return await sync_to_async(self.restore)(entity_or_pk, **options)

    async def aadd_all(self, new: Iterable[T], batch_size: int | None = None, **options: Any) -> builtins.list[T]:
        return await sync_to_async(self.add_all)(new, batch_size, **options)

    async def aupdate_all(
        self, filters: Filters | None = None, changes: Mapping[str, Any] | None = None, /, **options_and_fields: Any
    ) -> int:
        return await sync_to_async(self.update_all)(filters, changes, **options_and_fields)

    async def adelete_all(self, filters: Filters | None = None, /, **options: Any) -> int:
        return await sync_to_async(self.delete_all)(filters, **options)

    async def arestore_all(self, filters: Filters | None = None, /, **options: Any) -> int:
        return await sync_to_async(self.restore_all)(filters, **options)

    async def acommit_and_refresh(self, entity: T, **options: Any) -> T:
        return await sync_to_async(self.commit_and_refresh)(entity, **options)

    async def adiff(self, pk: Any, old: Any, new: Any = None, /, *, using: str | None = None) -> builtins.list[Any]:
        return await sync_to_async(self.diff)(pk, old, new, using=using)

    async def arevert_to(self, pk: Any, version: Any, /, **options: Any) -> T:
        return await sync_to_async(self.revert_to)(pk, version, **options)


for _verb in (
    AsyncVerbs.aadd,
    AsyncVerbs.aupdate,
    AsyncVerbs.adelete,
    AsyncVerbs.arestore,
    AsyncVerbs.aadd_all,
    AsyncVerbs.aupdate_all,
    AsyncVerbs.adelete_all,
    AsyncVerbs.arestore_all,
    AsyncVerbs.acommit_and_refresh,
    AsyncVerbs.arevert_to,
):
    cast("Any", _verb).alters_data = True
