"""From a request to an answer, for the views and the middleware."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.db import Error
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.utils.crypto import constant_time_compare

from .. import conf
from ..exceptions import InvalidArgument
from .examination import CHECKS, examine, readiness_checks
from .report import Report

Endpoint = Literal["live", "ready", "full"]

CONTENT_TYPE = "application/health+json"


def answer(request: HttpRequest, endpoint: Endpoint) -> HttpResponseBase:
    """200 for pass and warn, 503 for fail, 400 for a check that the endpoint doesn't have, 405 for a wrong method."""
    if request.method not in ("GET", "HEAD"):
        response: HttpResponseBase = HttpResponseNotAllowed(["GET", "HEAD"])
        response.headers["Cache-Control"] = "no-store"
        return response
    if endpoint == "live":
        return _json({"status": "pass"})  # by being here
    try:
        wanted = _wanted(request, readiness_checks() if endpoint == "ready" else CHECKS)
        anew = request.GET.get("probe") == "1" and _may_see_details(request)
        report = examine(wanted, anew=anew)
    except (InvalidArgument, SuspiciousOperation):  # the second of more parameters than Django reads
        return _json({"status": "fail", "output": "unknown_check"}, 400)
    body = report.as_dict() if anew or _may_see_details(request) else report.summary()
    response = _json(body, 503 if report.status == "fail" else 200)
    if report.status == "fail" and report.retry_after > 0:
        response.headers["Retry-After"] = str(math.ceil(report.retry_after))
    return response


def _wanted(request: HttpRequest, known: Iterable[str]) -> tuple[str, ...]:
    """The checks that ``?check=`` names, all ``known`` without it."""
    names = tuple(dict.fromkeys(request.GET.getlist("check"))) or tuple(known)
    if not set(names) <= set(known):
        raise InvalidArgument("There is no such check.")
    return names


def _may_see_details(request: HttpRequest) -> bool:
    configured = conf.health()
    scheme, _, sent = request.headers.get("Authorization", "").partition(" ")
    if configured.token is not None and scheme.lower() == "bearer" and constant_time_compare(sent, configured.token):
        return True
    return configured.staff and _is_staff(request)


def _is_staff(request: Any) -> bool:
    """Whether a member of the staff asks. That is in the database, and is looked up where it answers only."""
    if settings.SESSION_COOKIE_NAME not in request.COOKIES or not hasattr(request, "user"):
        return False
    if _database_fails(examine(["database"])):
        return False
    try:
        return bool(request.user.is_active and request.user.is_staff)
    except Error:  # it has gone away since; whoever asks still gets an answer
        return False


def _database_fails(report: Report) -> bool:
    return any(finding.status != "pass" for finding in report.of("database"))


def _json(body: Mapping[str, Any], status: int = 200) -> HttpResponse:
    response = HttpResponse(json.dumps(body), status=status, content_type=CONTENT_TYPE)
    response.headers["Cache-Control"] = "no-store"
    return response
