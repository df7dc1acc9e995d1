"""The system checks of this package, asked of the process that runs."""

from __future__ import annotations

from django.core.checks import ERROR, WARNING, CheckMessage, Tags
from django.core.checks.registry import registry

from .report import Outcome

_PACKAGE = __name__.partition(".")[0]


def configuration(seconds: float = 0.0) -> Outcome:
    """Run those that need no database; what the project has silenced stays silent."""
    problems = [problem for problem in _problems() if problem.level >= WARNING and not problem.is_silenced()]
    if not problems:
        return Outcome("pass")
    is_error = any(problem.level >= ERROR for problem in problems)
    ids = sorted({str(problem.id) for problem in problems})
    return Outcome("fail" if is_error else "warn", "invalid" if is_error else "questionable", more={"ids": ids})


def _problems() -> list[CheckMessage]:
    return [
        problem
        for check in registry.get_checks()
        if check.__module__.split(".")[0] == _PACKAGE and Tags.database not in check.tags
        for problem in check(app_configs=None, databases=None)
    ]
