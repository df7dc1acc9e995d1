"""The three views, which need no transaction, no session and no login."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import connections, transaction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from .answers import Endpoint, answer

View = Callable[[HttpRequest], HttpResponseBase]


def _view(endpoint: Endpoint) -> View:
    def view(request: HttpRequest) -> HttpResponseBase:
        return answer(request, endpoint)

    view.__name__ = endpoint
    view.login_required = False  # type: ignore[attr-defined]  # for Django's LoginRequiredMiddleware
    plain: Any = csrf_exempt(view)  # nothing is changed, and a POST is told so by 405
    for alias in connections:
        plain = transaction.non_atomic_requests(using=alias)(plain)
    return plain  # type: ignore[no-any-return]


live = _view("live")
ready = _view("ready")
full = _view("full")
