"""The settings dict ``ENTERPRISE_REPO``: project-wide defaults, read live."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.utils.module_loading import import_string

from .policies import BreakerPolicy, RetryPolicy

_RETRY = RetryPolicy()


def page_limit() -> int:
    """Most rows a page may have where a repository's policy doesn't say: ``PAGE_LIMIT``, 100."""
    limit: int = _setting("PAGE_LIMIT", 100)
    return limit


def correlation_header() -> str:
    """The request and response header that carries the correlation id: ``CORRELATION_HEADER``, ``X-Request-ID``."""
    header: str = _setting("CORRELATION_HEADER", "X-Request-ID")
    return header


def get_user() -> Callable[[Any], Any]:
    """How the acting user of a request is found: ``GET_USER``, a function or its dotted path; ``request.user``.

    It is called for each change that is recorded, in the thread that records it, and answers a user or ``None``.
    """
    found = _setting("GET_USER", None)
    if found is None:
        return _user_of
    function: Callable[[Any], Any] = import_string(found) if isinstance(found, str) else found
    return function


def retry_policy() -> RetryPolicy | None:
    """How operations are tried again where a repository's own policy doesn't say: ``RETRY``, ``RetryPolicy()``."""
    policy: RetryPolicy | None = _setting("RETRY", _RETRY)
    return policy


def breaker_policy(alias: str) -> BreakerPolicy | None:
    """The circuit breaker of a database: ``BREAKER``, one policy or a dict of them by alias; ``None`` if not said."""
    setting = _setting("BREAKER", None)
    policy: BreakerPolicy | None = setting.get(alias) if isinstance(setting, Mapping) else setting
    return policy


def metrics_wanted() -> bool:
    """Whether Prometheus gets metrics: ``METRICS``, by ``"auto"`` where prometheus-client is installed."""
    setting: bool | str = _setting("METRICS", "auto")
    return _has_prometheus() if setting == "auto" else bool(setting)


def metrics_model_limit() -> int:
    """How many models have metrics of their own: ``METRICS_MODEL_LIMIT``, 100; the others are ``other`` together."""
    limit: int = _setting("METRICS_MODEL_LIMIT", 100)
    return limit


def slow_operation() -> float | None:
    """From how many seconds on an operation is logged as slow: ``SLOW_OPERATION``, 1.0; ``None`` for never."""
    seconds: float | None = _setting("SLOW_OPERATION", 1.0)
    return seconds


def _has_prometheus() -> bool:
    return find_spec("prometheus_client") is not None


def _user_of(request: Any) -> Any:
    return getattr(request, "user", None)


def _setting(name: str, default: Any) -> Any:
    configured = getattr(settings, "ENTERPRISE_REPO", {})
    # A check says what is wrong with anything else; until it runs, the project has to start.
    return configured.get(name, default) if isinstance(configured, dict) else default


def _header_name(value: Any) -> str | None:
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9-]{1,64}", value, re.ASCII):
        return None
    return "is not the name of a header"


def _function(value: Any) -> str | None:
    try:
        found = import_string(value) if isinstance(value, str) else value
    except (ImportError, TypeError, ValueError):  # the last two of paths like "..name" and ".name"
        return "cannot be imported"
    if iscoroutinefunction(found):
        return "is a coroutine function, and is called where nothing can be awaited"
    return None if callable(found) else "is not a function or the dotted path of one"


def _positive_int(value: Any) -> str | None:
    return None if type(value) is int and value > 0 else "is not a positive int"


def _metrics(value: Any) -> str | None:
    if value is True:
        return None if _has_prometheus() else "is True, but prometheus-client is not installed"
    return None if value is False or value == "auto" else 'is none of True, False and "auto"'


def _seconds(value: Any) -> str | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return None if value is None or (is_number and value >= 0) else "is neither a number of seconds nor None"


def _retry(value: Any) -> str | None:
    return None if value is None or isinstance(value, RetryPolicy) else "is neither a RetryPolicy nor None"


def _breaker(value: Any) -> str | None:
    policies = value.values() if isinstance(value, Mapping) else [value]
    if all(isinstance(policy, BreakerPolicy) for policy in policies):
        return None
    return "is neither a BreakerPolicy nor a dict of them by database alias"


#: What may be set, and what says that a value is wrong.
KNOWN_SETTINGS: Mapping[str, Callable[[Any], str | None]] = {
    "BREAKER": _breaker,
    "CORRELATION_HEADER": _header_name,
    "GET_USER": _function,
    "METRICS": _metrics,
    "METRICS_MODEL_LIMIT": _positive_int,
    "PAGE_LIMIT": _positive_int,
    "RETRY": _retry,
    "SLOW_OPERATION": _seconds,
}
