"""``manage.py repository_health``: ask what the health views ask, from a shell."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import connections

from ...health import CHECKS, Finding, Report, examine

_LONGEST = 3600.0


class Command(BaseCommand):
    help = "Say how databases, circuit breakers, caches, migrations and settings are. Exits with 0, or 1 if one fails."
    requires_system_checks = []  # it runs ours itself, and has to answer whatever they say

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--check", choices=CHECKS, action="append", metavar="NAME", help=f"only this one of {', '.join(CHECKS)}"
        )
        parser.add_argument(
            "--database", choices=tuple(connections), action="append", metavar="ALIAS", help="only this database"
        )
        parser.add_argument("--timeout", type=_seconds, metavar="S", help="seconds to wait at most, in all")
        parser.add_argument(
            "--fail-on", choices=("fail", "warn"), default="fail", help="what to exit with 1 for (%(default)s)"
        )
        parser.add_argument("--json", action="store_true", help="print the report as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        report = examine(options["check"], databases=options["database"], timeout=options["timeout"])
        if options["json"]:
            self.stdout.write(json.dumps(report.as_dict(), indent=2))
        else:
            self.stdout.write("\n".join(self._table(report)))
        if report.status == "fail" or report.status == options["fail_on"]:
            sys.exit(1)

    def _table(self, report: Report) -> Iterator[str]:
        rows = [("check", "component", "status", "observed", "output"), *map(_cells, report.findings)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        styles = {"pass": self.style.SUCCESS, "warn": self.style.WARNING, "fail": self.style.ERROR}
        for row in rows:
            line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            yield styles[row[2]](line) if row[2] in styles else line


def _cells(finding: Finding) -> tuple[str, ...]:
    value, unit = finding.observed
    told = [finding.outcome.output, finding.outcome.code, *finding.outcome.more.get("ids", ())]
    return (
        finding.check,
        finding.component or "",
        finding.status,
        f"{value} {unit or ''}".rstrip(),
        " ".join(filter(None, told)),
    )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= _LONGEST:
        raise argparse.ArgumentTypeError("a number of seconds, more than 0 and at most 3600")
    return seconds
