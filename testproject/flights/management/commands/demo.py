"""``manage.py demo``: a year of flights, and every verb on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser
from django.db import connection
from rich.console import Console

from testproject.flights.demo.importing import import_everything
from testproject.flights.demo.report import WIDTH, Measured, Report, measured
from testproject.flights.demo.steps import CHAPTERS, user


class Command(BaseCommand):
    help = "Load the flights of 2013 into an SQLite file of its own and perform every verb on them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--limit", type=int, help="load only this many flights")
        parser.add_argument("--json", action="store_true", help="print the figures as JSON")
        parser.add_argument("--keep-database", action="store_true", help="use the present database, for tests")

    def handle(self, *args: Any, **options: Any) -> None:
        console = Console(width=WIDTH, highlight=False)
        report = Report(console, as_json=options["json"])
        if not options["keep_database"]:
            begin_afresh()
        report.title(
            "django-enterprise-repo",
            "Every flight that left New York City in 2013. Each step shows the call, what came of it,\n"
            "and what it cost: statements sent and time taken.",
        )
        report.chapter("Importing, in one transaction")
        import_everything(report, console, options["limit"])
        user.cache_clear()  # an earlier run had another database
        user()
        for title, steps in CHAPTERS:
            report.chapter(title)
            for name, call, perform in steps:
                step = Measured(name, call)
                with measured(step):
                    step.lines.extend(perform())
                report.add(step)
        statements = sum(step.statements for step in report.steps)
        seconds = sum(step.seconds for step in report.steps)
        report.close(f"{len(report.steps)} steps, {statements:,} statements, {seconds:.1f} seconds.")


def begin_afresh() -> None:
    """An empty SQLite file with all tables."""
    connection.close()
    connection.settings_dict["NAME"] = str(Path(settings.BASE_DIR) / ".cache" / "demo.sqlite3")
    file = Path(connection.settings_dict["NAME"])
    file.parent.mkdir(exist_ok=True)
    file.unlink(missing_ok=True)
    call_command("migrate", verbosity=0)
