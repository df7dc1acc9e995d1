"""Checks of what keeps the application alive while a database is not: policies, engines, time limits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import connections, router

from .. import conf
from ..declared import breaker_policy, declared_breakers
from ..policies import BreakerPolicy, RetryPolicy
from ..repository import Repository
from ..resilience.guards import guard_of

DOCS = "See docs/reference/checks.md."


def register_resilience_checks() -> None:
    """Called once, when the app is ready."""
    register(check_policies, Tags.models)
    register(check_breakers, Tags.models)
    register(check_engines, Tags.models)
    register(check_time_limits, Tags.models, deploy=True)


def check_policies(app_configs: Sequence[Any] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """The ``retry`` and ``breaker`` of every repository are policies."""
    problems: list[CheckMessage] = []
    for repository in _repositories(app_configs):
        for name, kind in (("retry", RetryPolicy), ("breaker", BreakerPolicy)):
            value = getattr(repository, name)
            if value is None or value == "project" or isinstance(value, kind):
                continue
            problems.append(
                Error(
                    f"{repository.model._meta.label}: {name} is neither a {kind.__name__} nor None.",
                    hint=DOCS,
                    obj=repository.model,
                    id="enterprise_repo.E009",
                )
            )
    return problems


def check_breakers(app_configs: Sequence[Any] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """One database has one circuit breaker, so all who declare its policy declare the same."""
    problems: list[CheckMessage] = []
    for alias in connections:
        policy = breaker_policy(alias)
        for repository, declared in declared_breakers(alias):
            if declared != policy:
                problems.append(_contradiction(repository, alias))
    for repository in _repositories(app_configs):
        problems += _unreachable_limits(repository)
    return problems


def _contradiction(repository: Repository[Any], alias: str) -> CheckMessage:
    return Error(
        f"{repository.model._meta.label} declares another circuit breaker for the database {alias!r} than "
        "the project's settings or another repository.",
        hint='A database has one breaker. Declare its policy once, best as ENTERPRISE_REPO["BREAKER"].',
        obj=repository.model,
        id="enterprise_repo.E010",
    )


def _unreachable_limits(repository: Repository[Any]) -> Iterator[CheckMessage]:
    """A call that the deadline ends can never be seen to be slow."""
    retry = conf.retry_policy() if repository.retry == "project" else repository.retry
    alias = router.db_for_write(repository.model)
    slow = breaker_policy(alias).slow_call
    if not isinstance(retry, RetryPolicy) or retry.deadline is None or slow is None or repository.breaker is None:
        return
    if slow >= retry.deadline:
        yield Error(
            f"{repository.model._meta.label}: the deadline of {retry.deadline} s ends every call before it takes "
            f"the {slow} s that count as slow.",
            hint="Let BreakerPolicy.slow_call be shorter than RetryPolicy.deadline.",
            obj=repository.model,
            id="enterprise_repo.E011",
        )


def check_engines(
    app_configs: Sequence[Any] | None = None, databases: Iterable[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Databases that repositories use have an engine that sees connects, fetches and commits."""
    used = {router.db_for_write(repository.model) for repository in _repositories(app_configs)}
    return [
        Warning(
            f"The engine of the database {alias!r} does not let the guard see connects, fetches, commits and what "
            "Django sends on its own.",
            hint=(
                f'Use ENGINE = "django_enterprise_repo.db.backends.{_engine(alias)}", or put GuardedDatabaseMixin '
                "before another DatabaseWrapper. docs/explanation/coverage.md says what is not seen without."
            ),
            id="enterprise_repo.W006",
        )
        for alias in sorted(used)
        if not guard_of(connections[alias]).sees_everything
    ]


def _engine(alias: str) -> str:
    vendor = connections[alias].vendor
    return {"sqlite": "sqlite3"}.get(vendor, vendor)


def check_time_limits(app_configs: Sequence[Any] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Nobody waits for ever: the driver is told how long to wait for a server that is gone or busy."""
    used = {router.db_for_write(repository.model) for repository in _repositories(app_configs)}
    problems: list[CheckMessage] = []
    for alias in sorted(used):
        find = _MISSING_LIMITS.get(connections[alias].vendor)
        missing = list(find(connections[alias].settings_dict["OPTIONS"])) if find else []
        if missing:
            problems.append(
                Warning(
                    f"The database {alias!r} may keep a caller waiting for ever: {', '.join(missing)} not set.",
                    hint='Set them in OPTIONS. See "Time limits" in docs/how-to/outages.md.',
                    id="enterprise_repo.W007",
                )
            )
    return problems


def _missing_in_postgresql(options: dict[str, Any]) -> Iterator[str]:
    if "connect_timeout" not in options:
        yield "connect_timeout"
    if "statement_timeout" not in str(options.get("options", "")):
        yield "statement_timeout (in options)"
    if "tcp_user_timeout" not in options and "keepalives_idle" not in options:
        yield "tcp_user_timeout or keepalives_idle"


def _missing_in_mysql(options: dict[str, Any]) -> Iterator[str]:
    for name in ("connect_timeout", "read_timeout", "write_timeout"):
        if name not in options:
            yield name


_MISSING_LIMITS: dict[str, Callable[[dict[str, Any]], Iterator[str]]] = {
    "postgresql": _missing_in_postgresql,
    "mysql": _missing_in_mysql,
}


def _repositories(app_configs: Sequence[Any] | None) -> Iterator[Repository[Any]]:
    for config in app_configs or apps.get_app_configs():
        for model in config.get_models():
            for manager in model._meta.managers:
                if isinstance(manager, Repository):
                    yield manager
