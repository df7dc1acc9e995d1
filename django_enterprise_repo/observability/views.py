"""The metrics over HTTP, for projects without django-prometheus."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from .metrics import exposition


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """All metrics of the default registry, as OpenMetrics where the client accepts that.

    Whoever may reach this URL sees the names of models and databases and how much they are used, and none of their
    rows. 501 where prometheus-client is not installed.
    """
    try:
        body, media_type = exposition(request.headers.get("Accept", ""))
    except ImportError:
        return HttpResponse("prometheus-client is not installed.\n", status=501, content_type="text/plain")
    return HttpResponse(body, content_type=media_type)
