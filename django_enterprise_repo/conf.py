"""The settings dict ``ENTERPRISE_REPO``: project-wide defaults, read live."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Literal

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.utils.module_loading import import_string

from .policies import BreakerPolicy, RetryPolicy

_RETRY = RetryPolicy()

#: What becomes of a process whose check fails: it gets no requests, a warning is shown, or nobody looks.
Level = Literal["fail", "warn", "ignore"]
READINESS: Mapping[str, Level] = {
    "database": "fail",
    "circuit_breaker": "warn",  # else all processes would leave at once, and nobody would notice that all is well again
    "cache": "warn",
    "row_cache": "warn",  # reads go past a cache that is left alone
    "migrations": "fail",
    "configuration": "fail",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthSettings:
    """The setting ``HEALTH``.

    Attributes:
        readiness: how bad each check can get at most.
        timeout: seconds within which the answer is there.
        staff: whether staff see details.
        token: who sends it as ``Authorization: Bearer`` sees details; ``None`` for nobody.
        databases: aliases that are looked at, ``None`` for all.
        path: where :class:`~django_enterprise_repo.health.middleware.HealthMiddleware` answers.
    """

    readiness: Mapping[str, Level] = field(default_factory=lambda: READINESS)
    timeout: float = 0.8
    staff: bool = True
    token: str | None = field(default=None, repr=False)
    databases: tuple[str, ...] | None = None
    path: str = "/health/"


_HEALTH = HealthSettings()


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


def health() -> HealthSettings:
    """How health is examined and who sees it: ``HEALTH``, a dict of what is not as in ``HealthSettings``.

    One that is wrong changes nothing, and the check ``configuration`` says so: a probe has to answer.
    """
    setting = _setting("HEALTH", None)
    if not setting or _health(setting):
        return _HEALTH
    databases = setting.get("databases")
    return HealthSettings(
        **{
            **setting,
            "readiness": {**READINESS, **setting.get("readiness", {})},
            "databases": None if databases is None else tuple(databases),
        }
    )


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


def _health(value: Any) -> str | None:
    if not isinstance(value, Mapping):
        return "is not a dict"
    for name, part in value.items():
        if name not in _HEALTH_PARTS:
            return f"has {name!r} in it, and knows {', '.join(sorted(_HEALTH_PARTS))} only"
        if not _HEALTH_PARTS[name](part):
            return f"has a wrong value for {name!r}"
    return None


def _is_readiness(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        name in READINESS and level in ("fail", "warn", "ignore") for name, level in value.items()
    )


def _are_aliases(value: Any) -> bool:
    known = getattr(settings, "DATABASES", {})
    return value is None or (isinstance(value, list | tuple) and all(isinstance(a, str) and a in known for a in value))


_HEALTH_PARTS: Mapping[str, Callable[[Any], bool]] = {
    "readiness": _is_readiness,
    "timeout": lambda value: type(value) in (int, float) and 0 < value <= 60,
    "staff": lambda value: type(value) is bool,
    # Short ones can be guessed; a header can carry no others.
    "token": lambda value: value is None or (isinstance(value, str) and bool(re.fullmatch(r"[!-~]{16,512}", value))),
    "databases": _are_aliases,
    "path": lambda value: isinstance(value, str) and value.startswith("/") and value.endswith("/"),
}


#: What may be set, and what says that a value is wrong.
KNOWN_SETTINGS: Mapping[str, Callable[[Any], str | None]] = {
    "BREAKER": _breaker,
    "CORRELATION_HEADER": _header_name,
    "GET_USER": _function,
    "HEALTH": _health,
    "METRICS": _metrics,
    "METRICS_MODEL_LIMIT": _positive_int,
    "PAGE_LIMIT": _positive_int,
    "RETRY": _retry,
    "SLOW_OPERATION": _seconds,
}
