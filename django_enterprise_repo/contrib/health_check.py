"""Our checks among those of django-health-check::

HealthCheckView.as_view(checks=["django_enterprise_repo.contrib.health_check.RepositoryHealthCheck"])
"""

from __future__ import annotations

import dataclasses

from health_check.base import HealthCheck
from health_check.exceptions import HealthCheckException, ServiceUnavailable, ServiceWarning

from ..health import Report, examine


@dataclasses.dataclass
class RepositoryHealthCheck(HealthCheck):  # type: ignore[misc]  # the package is not typed
    """All of ``checks`` as one.

    Attributes:
        checks: their names, ``None`` for all.
        database: the alias that they are about, ``None`` for all that ``ENTERPRISE_REPO["HEALTH"]`` names.
    """

    checks: tuple[str, ...] | None = None
    database: str | None = dataclasses.field(default=None, repr=False)

    def run(self) -> None:
        """Ask.

        Raises:
            ServiceWarning: a check warns.
            ServiceUnavailable: a check fails.
        """
        report = examine(self.checks, databases=None if self.database is None else [self.database])
        if report.status != "pass":
            raise _complaint(report)


def _complaint(report: Report) -> HealthCheckException:
    told = (f"{finding.check}: {finding.outcome.output}" for finding in report.findings if finding.status != "pass")
    text = ", ".join(dict.fromkeys(told))
    return ServiceUnavailable(text) if report.status == "fail" else ServiceWarning(text)
