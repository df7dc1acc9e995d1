"""Run the fault table and report what came of each row.

    python -m tests.faults.report [--write PATH] [--json PATH] [--only NUMBER ...]

The report is Markdown. It ends with 1 if a scenario that applies has failed or has no test.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.faults import outcomes
from tests.faults.scenarios import SCENARIOS, Scenario

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Row:
    """What came of one scenario on one database; ``outcome`` is passed, failed, skipped, missing or waits."""

    number: int
    fault: str
    database: str
    outcome: str
    tests: int
    seconds: float


def run_pytest(*arguments: str) -> dict[str, dict[str, Any]]:
    """What the plugin has written down of a run of the marked tests."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "outcomes.json")
        command = [sys.executable, "-m", "pytest", "-q", "-m", "scenario", "-p", outcomes.__name__, *arguments]
        environment = {**os.environ, outcomes.PATH: str(path)}
        # What pytest says is no part of the report.
        done = subprocess.run([*command, "tests/faults"], cwd=ROOT, env=environment, stdout=sys.stderr, check=False)
        if not path.exists():
            raise SystemExit(f"pytest ended with {done.returncode} before it ran a test.")
        found: dict[str, dict[str, Any]] = json.loads(path.read_text())
        return found


def by_row(tests: Mapping[str, Mapping[str, Any]]) -> dict[tuple[int, str], list[Mapping[str, Any]]]:
    """The tests of each scenario and database."""
    found: dict[tuple[int, str], list[Mapping[str, Any]]] = {}
    for test in tests.values():
        for number, databases in test["scenarios"]:
            for database in databases:
                found.setdefault((number, database), []).append(test)
    return found


def rows(tests: Mapping[str, Mapping[str, Any]], scenarios: Sequence[Scenario] = SCENARIOS) -> Iterator[Row]:
    """One row for each scenario and each database that it applies to or is tested on."""
    found = by_row(tests)
    for scenario in scenarios:
        if not scenario.applies:
            yield Row(scenario.number, scenario.fault, "–", "waits", 0, 0.0)
        also = [database for number, database in found if number == scenario.number]
        for database in dict.fromkeys([*scenario.databases, *also]):
            of_row = found.get((scenario.number, database), [])
            seconds = sum((test["seconds"] for test in of_row), 0.0)
            told = _outcome([test["outcome"] for test in of_row])
            yield Row(scenario.number, scenario.fault, database, told, len(of_row), round(seconds, 1))


def _outcome(told: Sequence[str | None]) -> str:
    if not told:
        return "missing"
    for worst in ("failed", "skipped"):
        if worst in told:
            return worst
    return "failed" if None in told else "passed"  # None: pytest has never come to it


def markdown(report: Sequence[Row]) -> str:
    lines = ["| | fault | database | outcome | tests | seconds |", "|--:|---|---|---|--:|--:|"]
    lines += ["| " + " | ".join(map(str, asdict(row).values())) + " |" for row in report]
    waiting = [f"- {scenario.number} waits: {scenario.waits_for}." for scenario in SCENARIOS if scenario.waits_for]
    return "\n".join([*lines, "", *waiting, ""])


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Run the fault table and report what came of each row.")
    parser.add_argument("--write", type=Path, metavar="PATH", help="write the Markdown to a file, too")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the rows as JSON, too")
    parser.add_argument("--only", type=int, nargs="+", metavar="NUMBER", help="these scenarios only")
    options = parser.parse_args(arguments)
    scenarios = [scenario for scenario in SCENARIOS if options.only is None or scenario.number in options.only]
    chosen = [] if options.only is None else ["--scenarios", ",".join(map(str, options.only))]
    report = list(rows(run_pytest(*chosen), scenarios))
    text = markdown(report)
    print(text)
    if options.write:
        options.write.write_text(text)
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in report], indent=2))
    return int(any(row.outcome in ("failed", "missing") for row in report))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
