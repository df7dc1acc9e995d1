"""What belongs to one request: who changes things and for which reason, and the entities that it has read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.functional import LazyObject

from .caching.identity import identity_map
from .conf import correlation_header, get_user
from .context import carried_context, operation_context
from .correlation import new_correlation_id, received_correlation_id


class _Middleware:
    """What sync and async middleware in one has."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(cast("Any", self))


class OperationContextMiddleware(_Middleware):
    """Opens an ``operation_context`` around each request, for sync and async views alike.

    The user is looked up when something is recorded and not before, so the position among other middleware
    doesn't matter, an authentication inside the view (as REST frameworks do it) counts, and a request that writes
    nothing costs nothing. The correlation id is the caller's where it is well-formed and a new one otherwise; it is
    ``request.correlation_id``, and the response echoes it. The body of a streaming response belongs to its request.
    """

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self._is_async:
            return self._respond_async(request)
        with _context_of(request):
            return _finished(self.get_response(request), request)

    async def _respond_async(self, request: HttpRequest) -> HttpResponseBase:
        with _context_of(request):
            return _finished(await self.get_response(request), request)


class IdentityMapMiddleware(_Middleware):
    """Opens an ``identity_map`` around each request, for sync and async views alike.

    A row that the request reads by its key again, while it still uses it, is one object and no second read. The body of
    a streaming response is made when the request is over, and reads without a map.
    """

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self._is_async:
            return self._respond_async(request)
        with identity_map():
            return cast("HttpResponseBase", self.get_response(request))

    async def _respond_async(self, request: HttpRequest) -> HttpResponseBase:
        with identity_map():
            return cast("HttpResponseBase", await self.get_response(request))


class _UserOf(LazyObject):  # type: ignore[type-arg]  # generic in the stubs only
    """The user of a request, found anew by whoever asks: a view may log somebody in while it runs."""

    def __init__(self, request: HttpRequest) -> None:
        self.__dict__["_request"] = request
        super().__init__()

    @property
    def _wrapped(self) -> Any:
        return get_user()(self.__dict__["_request"])


def _context_of(request: Any) -> operation_context:
    received = received_correlation_id(request.headers.get(correlation_header()), request.headers.get("traceparent"))
    request.correlation_id = received or new_correlation_id()
    return operation_context(user=_UserOf(request), correlation_id=request.correlation_id)


def _finished(response: Any, request: Any) -> HttpResponseBase:
    response.headers[correlation_header()] = request.correlation_id
    # A streamed body is made after the middleware has returned. A file is read and changes nothing.
    if getattr(response, "streaming", False) and getattr(response, "file_to_stream", None) is None:
        _carry_on(response)
    return cast("HttpResponseBase", response)


def _carry_on(response: Any) -> None:
    """Let each step of a streamed body run in the context of now, and its end where the client goes away.

    An async body that nobody waits for any more is ended by the event loop, in a task of its own.
    """
    carried, close = carried_context(), response.close
    steps = _async_steps if response.is_async else _steps

    def close_within() -> None:
        with carried:
            close()

    response.streaming_content = steps(response.streaming_content, carried)
    response.close = close_within


def _steps(content: Iterator[Any], carried: carried_context) -> Iterator[Any]:
    end = object()
    while True:
        with carried:
            part = next(content, end)
        if part is end:
            return
        yield part


async def _async_steps(content: AsyncIterator[Any], carried: carried_context) -> AsyncIterator[Any]:
    end = object()
    while True:
        with carried:
            part = await anext(content, end)
        if part is end:
            return
        yield part
