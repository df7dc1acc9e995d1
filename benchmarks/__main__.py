"""Measure the repository against what one would write by hand.

    python -m benchmarks [--database sqlite|postgres|mariadb] [--group startup guarding observing …] [--json]

Without ``--database`` every one that answers is measured, each in a process of its own. Times depend on the machine, so
only their ratios are compared, with targets that are never asserted in tests.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.services import MARIADB, POSTGRES, REDIS

ROOT = Path(__file__).resolve().parent.parent


GROUPS = ("startup", "guarding", "observing", "probing", "auditing", "caching", "writing", "reading", "memory")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--database", choices=("sqlite", "postgres", "mariadb"))
    parser.add_argument("--group", choices=GROUPS, nargs="+", default=GROUPS, help="measure only these")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    if options.database is None:
        figures = measure_everywhere(options.group)
    else:
        os.environ["REPO_DATABASE"] = options.database
        os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"
        figures = measure_here(options.database, options.group)
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        show(figures)
    return 0


def measure_everywhere(groups: Collection[str]) -> dict[str, list[Any]]:
    figures: dict[str, list[Any]] = {"ratios": [], "memory": []}
    for database in ("sqlite", *(service.name for service in (POSTGRES, MARIADB) if service.missing() is None)):
        progress(f"{database}: making a database")
        command = [sys.executable, "-m", "benchmarks", "--database", database, "--json", "--group", *groups]
        done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
        for kind, found in json.loads(done.stdout).items():
            figures[kind] += found
        groups = [group for group in groups if group != "startup"]  # which knows no database
        if not groups:
            break
    return figures


def measure_here(database: str, groups: Collection[str]) -> dict[str, list[Any]]:
    import django

    django.setup()
    from . import auditing, caching, guarding, memory, observing, probing, reading, startup, writing
    from .measuring import compare

    figures: dict[str, list[Any]] = {"ratios": [], "memory": []}

    def measure(pairs: Iterator[Any]) -> None:
        for pair in pairs:
            progress(f"{database}: {pair.name}")
            figures["ratios"].append(asdict(compare(pair, database)))

    if "startup" in groups:
        progress(startup.NAME)
        figures["ratios"].append(asdict(startup.measure()))
    with a_database():
        if "guarding" in groups:
            measure(guarding.pairs())
        if "observing" in groups:
            measure(observing.pairs())
        if "probing" in groups:
            measure(probing.pairs())
        if "auditing" in groups:
            measure(auditing.pairs())
        if "caching" in groups and database == "postgres" and REDIS.missing() is None:
            figures["ratios"] += [asdict(found) for found in caching.results(database, progress)]
        if {"writing", "reading", "memory"} & {*groups}:
            load_all_but_flights()
        if "writing" in groups:
            measure(writing.pairs())
        if {"reading", "memory"} & {*groups}:
            progress(f"{database}: loading every flight")
            load_flights()
        if "reading" in groups:
            measure(reading.pairs())
        if "memory" in groups:
            figures["memory"].append({"database": database, "megabytes": memory.measure(), "target": memory.TARGET})
    return figures


@contextmanager
def a_database() -> Iterator[None]:
    """A database of the benchmarks' own, gone afterwards."""
    from django.db import connection, connections

    (ROOT / ".cache").mkdir(exist_ok=True)
    name = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    connections["django"].settings_dict["NAME"] = connection.settings_dict["NAME"]
    try:
        yield
    finally:
        connections["django"].close()
        connection.creation.destroy_test_db(name, verbosity=0)


def load_all_but_flights() -> None:
    from testproject.flights import loading
    from testproject.flights.models import Airline, Airport, Plane

    Airline.objects.add_all(loading.airlines())
    Airport.objects.add_all(loading.airports())
    Plane.objects.add_all(loading.planes())


def load_flights() -> None:
    from django.db import connection, transaction

    from testproject.flights import loading
    from testproject.flights.demo.importing import chunks
    from testproject.flights.models import Airport, Flight, Plane

    airports = set(Airport.objects.values_list("pk", flat=True))
    planes = set(Plane.objects.values_list("pk", flat=True))
    with transaction.atomic():
        for chunk in chunks(loading.flights(planes, airports)):
            Flight.objects.add_all(chunk)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE TABLE flights_flight" if connection.vendor == "mysql" else "ANALYZE")


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def show(figures: dict[str, list[Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(width=118, highlight=False)
    table = Table(title="Time, as a ratio to the same by hand")
    for heading in ("what", "database", "ratio", "middle half", "±", "target", "ours", "by hand", "rounds"):
        table.add_column(heading, justify="left" if heading in ("what", "database") else "right")
    for row in figures["ratios"]:
        holds = row["ratio"] <= row["target"]
        table.add_row(
            row["name"],
            row["database"],
            f"[{'green' if holds else 'red'}]{row['ratio']:.3f}[/]",
            f"{row['low']:.3f} – {row['high']:.3f}",
            f"{row['standard_error']:.3f}",
            f"≤ {row['target']:.2f}",
            duration(row["ours"]),
            duration(row["theirs"]),
            str(row["rounds"]),
        )
    console.print(table)
    if figures["memory"]:
        table = Table(title="Most resident memory while every flight is streamed")
        for heading in ("database", "MB", "target"):
            table.add_column(heading, justify="left" if heading == "database" else "right")
        for row in figures["memory"]:
            table.add_row(row["database"], f"{row['megabytes']:.0f}", f"< {row['target']}")
        console.print(table)


def duration(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1e3:.2f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f} µs"


if __name__ == "__main__":
    sys.exit(main())
