"""The views' answers, given before any other middleware can need a database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from .. import conf
from .answers import Endpoint, answer

_ENDPOINTS: dict[str, Endpoint] = {"": "full", "live": "live", "ready": "ready"}


class HealthMiddleware:
    """Put first. It answers below ``ENTERPRISE_REPO["HEALTH"]["path"]`` and hands on everything else.

    No session is opened before it, so details are for who has the token.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        endpoint = _endpoint(request)
        if endpoint is None:
            return cast("HttpResponseBase | Awaitable[HttpResponseBase]", self.get_response(request))
        # In the request's own thread, which no other request can keep waiting.
        return sync_to_async(answer)(request, endpoint) if self._is_async else answer(request, endpoint)


def _endpoint(request: HttpRequest) -> Endpoint | None:
    path = conf.health().path
    if not request.path_info.startswith(path):
        return None
    return _ENDPOINTS.get(request.path_info.removeprefix(path))
