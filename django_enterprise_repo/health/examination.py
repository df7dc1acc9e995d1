"""All that is asked and what came of it, within one deadline."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from functools import partial

from django.conf import settings as django_settings
from django.db import connections

from .. import conf
from ..exceptions import InvalidArgument
from ..resilience.deadlines import require_seconds
from .caches import cache_aliases, round_trip
from .circuits import as_probe, circuit, retry_after
from .configuration import configuration
from .databases import ping, unapplied
from .lanes import Job, Probe, lane
from .report import Finding, Outcome, Report, Status
from .row_caches import row_cache, row_cache_aliases

logger = logging.getLogger("django_enterprise_repo.health")

#: The names of the checks.
CHECKS = tuple(conf.READINESS)
#: Seconds for which it is believed that what once was in order still is: a deployment changes it, and that restarts.
_SETTLED = 60.0


def examine(
    checks: Iterable[str] | None = None,
    *,
    databases: Iterable[str] | None = None,
    caches: Iterable[str] | None = None,
    timeout: float | None = None,
    anew: bool = False,
) -> Report:
    """Ask ``checks``, all without them, about ``databases``, all that ``ENTERPRISE_REPO["HEALTH"]`` names without them,
    and about ``caches``, all of them without.

    The answer is there within ``timeout`` seconds, the setting's where none are given. What has not answered by then
    has failed. Answers are at most a second old; that no migration is missing and that the settings are in order is
    remembered for a minute. No check is worse than the setting's ``readiness`` lets it be.

    ``anew`` takes no answer that was there before, and is the probe that an open circuit waits for, where it is due:
    the circuit closes, or opens again, by what the database says.

    Raises:
        InvalidArgument: there is no check, database or cache of that name.
        ValueError: ``timeout`` is not a positive number.
    """
    settings = conf.health()
    seconds = settings.timeout if timeout is None else require_seconds(timeout)
    names = CHECKS if checks is None else tuple(dict.fromkeys(checks))
    aliases = known_aliases(settings.databases) if databases is None else tuple(dict.fromkeys(databases))
    _require(names, CHECKS, "check")
    _require(aliases, tuple(connections), "database")
    wanted = tuple(django_settings.CACHES) if caches is None else tuple(caches)
    _require(wanted, tuple(django_settings.CACHES), "cache")
    # All are asked before anybody waits, so the deadline is one for all.
    asked = [_asked(probe, seconds, anew) for name in names for probe in _probes(name, aliases, wanted, anew)]
    for one in asked:
        if isinstance(one, Job):
            one.wait(seconds)
    # The circuits last, since what the databases say may change them.
    findings = [one.wait(seconds) if isinstance(one, Job) else one.finding(one.run(seconds), 0.0) for one in asked]
    levels: dict[str, Status] = {
        name: "fail" if level == "fail" else "warn" for name, level in settings.readiness.items()
    }
    for finding in findings:
        _log(finding)
    return Report(
        findings=tuple(finding.at_most(levels[finding.check]) for finding in findings),
        retry_after=retry_after(aliases),
    )


def readiness_checks() -> tuple[str, ...]:
    """The checks that say whether this process should get requests."""
    return tuple(name for name, level in conf.health().readiness.items() if level != "ignore")


def known_aliases(wanted: Iterable[str] | None) -> tuple[str, ...]:
    return tuple(connections) if wanted is None else tuple(alias for alias in wanted if alias in connections.settings)


def _require(names: Iterable[str], known: tuple[str, ...], what: str) -> None:
    for name in names:
        if name not in known:
            raise InvalidArgument(f"There is no such {what}; there are {', '.join(known)}.")


def _probes(check: str, aliases: tuple[str, ...], caches: tuple[str, ...], anew: bool) -> Iterator[Probe]:
    if check == "database":
        for alias in aliases:
            yield Probe(check=check, component=alias, run=partial(_ping_as_probe if anew else ping, alias))
    elif check == "migrations":
        for alias in aliases:
            yield Probe(check=check, component=alias, run=partial(unapplied, alias), keeps=_SETTLED)
    elif check == "circuit_breaker":
        yield from (Probe(check=check, component=alias, run=partial(circuit, alias)) for alias in aliases)
    elif check == "cache":
        for alias in cache_aliases():
            if alias in caches:
                yield Probe(check=check, component=alias, run=partial(round_trip, alias))
    elif check == "row_cache":
        for alias in row_cache_aliases():
            if alias in caches:
                yield Probe(check=check, component=alias, run=partial(row_cache, alias))
    else:
        yield Probe(check=check, component=None, run=configuration, keeps=_SETTLED)


def _ping_as_probe(alias: str, seconds: float) -> Outcome:
    return as_probe(alias, partial(ping, alias, seconds))


def _asked(probe: Probe, seconds: float, anew: bool) -> Probe | Job:
    if probe.check in ("circuit_breaker", "row_cache"):
        return probe  # which is asked of nobody
    kind = "database" if probe.check == "migrations" else probe.check
    return lane(f"{kind}-{probe.component}").ask(probe, seconds, anew=anew)


_last: dict[tuple[str, str | None], Status] = {}


def _log(finding: Finding) -> None:
    """A line for each change, however often is asked."""
    key = finding.check, finding.component
    is_news = _last.get(key, "pass") != finding.status
    _last[key] = finding.status
    level = logging.DEBUG if not is_news else logging.INFO if finding.status == "pass" else logging.WARNING
    logger.log(
        level,
        "health_changed" if is_news else "health_checked",
        extra={
            "check": finding.check,
            "alias": finding.component,
            "health_status": finding.status,
            "health_output": finding.outcome.output,
            "code": finding.outcome.code,
            "duration_ms": round(finding.seconds * 1000, 1),
        },
    )
