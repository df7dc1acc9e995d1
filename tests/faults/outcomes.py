"""A plugin for pytest that writes down which rows of the fault table each test is about, and what came of it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

PATH = "FAULTS_OUTCOMES"  # the environment variable that says where to

_tests: dict[str, dict[str, Any]] = {}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--scenarios", help="run the tests of these rows only: numbers with commas between")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if chosen := config.getoption("--scenarios"):
        numbers = set(map(int, chosen.split(",")))
        items[:] = [item for item in items if numbers & {mark.args[0] for mark in item.iter_markers("scenario")}]


def pytest_collection_finish(session: pytest.Session) -> None:
    for item in session.items:
        _tests[item.nodeid] = {
            "scenarios": [[mark.args[0], _databases(item, mark)] for mark in item.iter_markers("scenario")],
            "outcome": None,
            "seconds": 0.0,
        }


def _databases(item: pytest.Item, mark: pytest.Mark) -> list[str]:
    """Those the mark names, or the one of them that this item has as its parameter."""
    parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    return [parameters["guarded"]] if "guarded" in parameters else list(mark.kwargs.get("databases", ["postgres"]))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    test = _tests[report.nodeid]
    test["seconds"] += report.duration
    if report.failed:
        test["outcome"] = "failed"
    elif report.skipped or test["outcome"] is None:
        test["outcome"] = report.outcome


def pytest_sessionfinish(session: pytest.Session) -> None:
    Path(os.environ[PATH]).write_text(json.dumps(_tests))
