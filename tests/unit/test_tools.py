"""The tools that decide whether a change may land must not decide by accident."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.measuring import Pair, compare, result
from tests.services import Service
from tools.test_matrix import Outcome, read_counts


def test_a_run_without_a_report_or_without_tests_is_no_success(tmp_path):
    assert read_counts(tmp_path / "missing.xml") == (0, 0, 0)
    good = Outcome("sqlite", passed=3, failed=0, skipped=0, seconds=1.0, code=0)

    assert good.is_good
    assert not replace(good, passed=0).is_good
    assert not replace(good, code=1).is_good


def test_counting_a_report(tmp_path):
    report = tmp_path / "junit.xml"
    report.write_text('<testsuites><testsuite tests="9" failures="1" errors="1" skipped="2"/></testsuites>')

    assert read_counts(report) == (5, 2, 2)


def test_a_service_says_why_it_is_missing(monkeypatch):
    service = Service("ghost", "REPO_GHOST_URL", "ghost://127.0.0.1:1/x", "pytest", "")

    assert "no answer from 127.0.0.1:1" in service.missing()
    assert Service("ghost", "REPO_GHOST_URL", "", "no_such_driver", "build it").missing().endswith("build it")
    monkeypatch.setenv("REPO_GHOST_URL", "ghost://127.0.0.1:2/x")
    assert service.url.endswith(":2/x")


def test_a_ratio_is_the_median_of_pairs():
    figures = result("x", "none", 1.1, [1.0, 2.0, 3.0, 40.0], [1.0, 1.0, 1.0, 10.0])

    assert figures.ratio == 2.5
    assert figures.low <= figures.ratio <= figures.high
    assert not figures.holds


def test_both_sides_are_called_equally_often():
    calls = []
    pair = Pair(
        name="x",
        ours=lambda given: calls.append(("ours", given)),
        theirs=lambda given: calls.append(("theirs", given)),
        target=1.0,
        rounds=4,
        once=True,
        prepare=lambda: "input",
    )

    compare(pair, "none")

    assert calls.count(("ours", "input")) == calls.count(("theirs", "input")) == 5


@pytest.mark.parametrize("rounds", [2, 3])
def test_the_order_changes_each_round(rounds):
    calls = []
    pair = Pair(
        name="x", ours=lambda: calls.append("o"), theirs=lambda: calls.append("t"), target=1.0, rounds=rounds, once=True
    )

    compare(pair, "none")

    assert "".join(calls) == "ot" + "ottoot"[: 2 * rounds]
