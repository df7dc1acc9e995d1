"""The fault table says what is so."""

from __future__ import annotations

import pytest

from tests.faults.report import Row, by_row, markdown, rows, run_pytest
from tests.faults.scenarios import SCENARIOS, Scenario


@pytest.fixture(scope="module")
def collected():
    return run_pytest("--collect-only")


def test_every_scenario_that_applies_has_a_test_on_each_of_its_databases(collected):
    wanted = {(scenario.number, database) for scenario in SCENARIOS for database in scenario.databases}

    assert wanted - set(by_row(collected)) == set()


def test_every_marked_test_is_in_the_table(collected):
    assert {number for number, _ in by_row(collected)} <= {scenario.number for scenario in SCENARIOS}


def test_the_table_is_numbered_without_gaps_and_says_why_a_row_has_no_database():
    assert [scenario.number for scenario in SCENARIOS] == list(range(1, 35))
    assert all(scenario.waits_for for scenario in SCENARIOS if not scenario.applies)


def test_a_report_tells_failed_skipped_and_missing_rows_from_good_ones():
    scenarios = [Scenario(1, "one", ""), Scenario(2, "two", ""), Scenario(3, "three", "", (), "something")]
    tests = {
        "good": {"scenarios": [[1, ["postgres"]]], "outcome": "passed", "seconds": 1.0},
        "bad": {"scenarios": [[1, ["postgres", "mariadb"]]], "outcome": "failed", "seconds": 2.0},
        "absent": {"scenarios": [[1, ["sqlite"]]], "outcome": "skipped", "seconds": 0.0},
    }

    report = list(rows(tests, scenarios))

    assert report == [
        Row(1, "one", "postgres", "failed", 2, 3.0),
        Row(1, "one", "mariadb", "failed", 1, 2.0),
        Row(1, "one", "sqlite", "skipped", 1, 0.0),
        Row(2, "two", "postgres", "missing", 0, 0.0),
        Row(3, "three", "–", "waits", 0, 0.0),
    ]
    assert "| 2 | two | postgres | missing | 0 | 0.0 |" in markdown(report)
