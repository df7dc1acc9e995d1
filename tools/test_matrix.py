"""Run the tests on every database that answers, and say at the end what ran where.

    python -m tools.test_matrix [pytest arguments]

Everything runs on SQLite; what needs a database (``tests/db``) runs again on PostgreSQL and MariaDB, and on SQLite
through Django's own engine. ``tests/faults`` break servers of their own, and ``tests/stress`` need PostgreSQL and
Redis, each once. The summary says which service is missing, and with ``REPO_REQUIRE_SERVICES=1`` it is a failure.
``REPO_MATRIX`` names what to run, if not everything: ``sqlite``, ``postgres``, ``mariadb``, ``django`` for Django's
engine, ``faults``, ``stress``, joined by commas.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from tests.services import MARIADB, POSTGRES, SERVICES

ROOT = Path(__file__).resolve().parent.parent
#: Processes that share the tests of one database.
WORKERS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True)
class Outcome:
    """What one run of pytest came to."""

    name: str
    passed: int
    failed: int
    skipped: int
    seconds: float
    code: int

    @property
    def is_good(self) -> bool:
        return self.code == 0 and self.passed > 0


def main(arguments: list[str]) -> int:
    missing = {service.name: why for service in SERVICES if (why := service.missing())}
    # Each worker has a database of its own. What breaks servers, or has many processes anyway, runs alone.
    spread = [f"--numprocesses={WORKERS}", "--dist=worksteal", *arguments]
    wanted = os.environ.get("REPO_MATRIX", "sqlite,postgres,mariadb,django,faults,stress").split(",")
    runs = [run("sqlite", ["tests/unit", "tests/db"], spread)] if "sqlite" in wanted else []
    servers = [name for name in (POSTGRES.name, MARIADB.name) if name in wanted and name not in missing]
    runs += [run(name, ["tests/db"], spread) for name in servers]
    if "django" in wanted:
        runs.append(run("sqlite", ["tests/db"], spread, name="sqlite, Django's engine", REPO_ENGINE="django"))
    if "faults" in wanted:
        runs.append(run("sqlite", ["tests/faults"], arguments, name="faults"))
    if "stress" in wanted:
        runs.append(run("sqlite", ["tests/stress"], arguments, name="stress"))
    summarise(runs, missing)
    required = os.environ.get("REPO_REQUIRE_SERVICES") == "1"
    if missing and required:
        print("REPO_REQUIRE_SERVICES=1: a missing service is a failure.")
    return 0 if runs and all(run.is_good for run in runs) and not (missing and required) else 1


def run(database: str, paths: list[str], arguments: list[str], *, name: str = "", **variables: str) -> Outcome:
    """Run pytest in a process of its own, as settings are read once."""
    name = name or database
    print(f"\n=== {name} ===", flush=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "junit.xml"
        command = [sys.executable, "-m", "pytest", f"--junitxml={report}", *paths, *arguments]
        environment = {**os.environ, "PYTHONDEVMODE": "1", "REPO_DATABASE": database, **variables}
        code = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
        passed, failed, skipped = read_counts(report)
    return Outcome(name, passed, failed, skipped, time.monotonic() - started, code)


def read_counts(report: Path) -> tuple[int, int, int]:
    """Passed, failed and skipped tests of a JUnit report; all zero when there is none."""
    if not report.exists():
        return 0, 0, 0
    passed = failed = skipped = 0
    for suite in ElementTree.parse(report).getroot().iter("testsuite"):
        bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skips = int(suite.get("skipped", 0))
        passed += int(suite.get("tests", 0)) - bad - skips
        failed += bad
        skipped += skips
    return passed, failed, skipped


def summarise(runs: list[Outcome], missing: dict[str, str]) -> None:
    print(f"\n{'tests on':<24} {'passed':>7} {'failed':>7} {'skipped':>8} {'seconds':>8}")
    for outcome in runs:
        note = "" if outcome.is_good else "  <- FAILED"
        print(
            f"{outcome.name:<24} {outcome.passed:>7} {outcome.failed:>7} {outcome.skipped:>8} "
            f"{outcome.seconds:>8.1f}{note}"
        )
    for service in SERVICES:
        why = missing.get(service.name)
        print(f"{service.name:<24} {'answered' if why is None else 'MISSING: ' + why + f' (set {service.variable})'}")
    print()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
