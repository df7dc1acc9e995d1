"""Attribute everything that a request changes to its user and its correlation id."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.functional import SimpleLazyObject

from .conf import correlation_header, get_user
from .context import OperationContext, operation_context
from .correlation import new_correlation_id, received_correlation_id


class OperationContextMiddleware:
    """Opens an ``operation_context`` around each request, for sync and async views alike.

    The user is looked up when something is recorded and not before, so the position among other middleware
    doesn't matter, an authentication inside the view (as REST frameworks do it) counts, and a request that writes
    nothing costs nothing. The correlation id is echoed in the response.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self._is_async:
            return self._respond_async(request)
        with _context_of(request) as context:
            response = cast("HttpResponseBase", self.get_response(request))
        return _finished(response, context)

    async def _respond_async(self, request: HttpRequest) -> HttpResponseBase:
        with _context_of(request) as context:
            response = cast("HttpResponseBase", await self.get_response(request))
        return _finished(response, context)


def _context_of(request: HttpRequest) -> operation_context:
    received = received_correlation_id(request.headers.get(correlation_header()), request.headers.get("traceparent"))
    correlation_id = received or new_correlation_id()
    request.correlation_id = correlation_id  # type: ignore[attr-defined]  # for views and templates
    return operation_context(user=SimpleLazyObject(lambda: get_user()(request)), correlation_id=correlation_id)


def _finished(response: Any, context: OperationContext) -> HttpResponseBase:
    response.headers[correlation_header()] = context.correlation_id
    # A streamed body is made after the middleware has returned. A file is read and changes nothing.
    if getattr(response, "streaming", False) and getattr(response, "file_to_stream", None) is None:
        steps = _async_steps if response.is_async else _steps
        response.streaming_content = steps(response.streaming_content, context)
    return cast("HttpResponseBase", response)


def _steps(content: Iterator[Any], context: OperationContext) -> Iterator[Any]:
    end = object()
    while True:
        with operation_context(context):
            part = next(content, end)
        if part is end:
            return
        yield part


async def _async_steps(content: AsyncIterator[Any], context: OperationContext) -> AsyncIterator[Any]:
    end = object()
    while True:
        with operation_context(context):
            part = await anext(content, end)
        if part is end:
            return
        yield part
