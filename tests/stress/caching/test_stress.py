"""A short stress; ``make stress`` makes a long one."""

from __future__ import annotations

import os

import pytest

from tests.services import POSTGRES, REDIS
from tests.stress.caching.__main__ import ENOUGH_HITS, markdown
from tests.stress.caching.run import run_apart
from tests.stress.caching.subjects import CONTROL, OURS, OURS_ON_DJANGO, Subject


@pytest.fixture(autouse=True)
def _services() -> None:
    for service in (POSTGRES, REDIS):
        if why_not := service.missing():
            if os.environ.get("REPO_REQUIRE_SERVICES") == "1":
                pytest.fail(f"REPO_REQUIRE_SERVICES=1, and {why_not}", pytrace=False)
            pytest.skip(why_not)


@pytest.mark.parametrize("subject", [OURS, OURS_ON_DJANGO], ids=lambda subject: subject.name)
def test_no_get_returns_less_than_what_was_acknowledged(subject: Subject):
    figures = run_apart(subject, 15.0)

    assert figures.is_coherent, figures
    assert figures.gets > 1000 and figures.written > 100 and figures.taken_back > 10, figures
    assert figures.quiet_ratio >= ENOUGH_HITS, figures


def test_the_stress_is_enough_to_see_stale_rows():
    figures = run_apart(CONTROL, 8.0)

    assert figures.stale > 0, figures
    assert figures.uncommitted == 0, figures
    assert f"| {CONTROL.title} | {figures.gets:,} |" in markdown([figures])
