"""What was found, in the words of the health check draft of the IETF (draft-inadarei-api-health-check-06).

Nothing here holds a host name, a user, a version or the text of an exception: a failure is a kind of a closed set and
a code.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, Self

Status = Literal["pass", "warn", "fail"]

_BY_SEVERITY: tuple[Status, ...] = ("pass", "warn", "fail")
#: The draft's ``component:measurement``, and its type of component.
_KEYS = {
    "database": ("database:connectivity", "datastore"),
    "circuit_breaker": ("database:circuit_breaker", "component"),
    "migrations": ("database:migrations", "datastore"),
    "cache": ("cache:roundtrip", "datastore"),
    "row_cache": ("cache:rows", "component"),
    "configuration": ("configuration:validation", "component"),
}


class Outcome(NamedTuple):
    """What a probe answers.

    Attributes:
        status: how it is.
        output: the kind of what is wrong, ``None`` where nothing is.
        code: SQLSTATE, MySQL error number or SQLite error name, where there is one.
        observed: value and unit of what was looked at; the time the probe took, where nothing is said.
        more: further members for the details.
    """

    status: Status
    output: str | None = None
    code: str | None = None
    observed: tuple[float | str, str | None] | None = None
    more: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check says of one component, at one time."""

    check: str
    component: str | None
    outcome: Outcome
    seconds: float
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def status(self) -> Status:
        return self.outcome.status

    def at_most(self, level: Status) -> Self:
        """The same, and no worse than ``level``."""
        if _BY_SEVERITY.index(self.status) <= _BY_SEVERITY.index(level):
            return self
        return replace(self, outcome=self.outcome._replace(status=level))

    @property
    def observed(self) -> tuple[float | str, str | None]:
        """Value and unit."""
        return self.outcome.observed or (round(self.seconds * 1000, 1), "ms")

    def as_dict(self) -> dict[str, Any]:
        """An element of the draft's ``checks``."""
        value, unit = self.observed
        members = {
            "componentId": self.component,
            "componentType": _KEYS[self.check][1],
            "status": self.status,
            "observedValue": value,
            "observedUnit": unit,
            "time": self.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "output": self.outcome.output,
            "code": self.outcome.code,
            **self.outcome.more,
        }
        return {name: member for name, member in members.items() if member is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What all the checks say that were asked for.

    Attributes:
        findings: one for each check and component.
        retry_after: seconds after which the open circuit among them that opens last lets a call through; 0.0 without.
    """

    findings: tuple[Finding, ...]
    retry_after: float = 0.0

    @property
    def status(self) -> Status:
        """The worst of the findings."""
        return max((finding.status for finding in self.findings), key=_BY_SEVERITY.index, default="pass")

    def of(self, check: str) -> tuple[Finding, ...]:
        """The findings of one check."""
        return tuple(finding for finding in self.findings if finding.check == check)

    def summary(self) -> dict[str, Any]:
        """What anybody may know."""
        return {"status": self.status}

    def as_dict(self) -> dict[str, Any]:
        """Everything, for who may see it."""
        return {**self.summary(), "checks": _by_key(self.findings)}


def _by_key(findings: Iterable[Finding]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for finding in findings:
        found.setdefault(_KEYS[finding.check][0], []).append(finding.as_dict())
    return found
