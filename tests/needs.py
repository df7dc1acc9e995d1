"""What a test cannot do without: said by a skip, and with ``REPO_REQUIRE_SERVICES=1`` by a failure."""

from __future__ import annotations

import os

import pytest

from tests.faults.processes import program


def need(why_not: str | None) -> None:
    """Skip if there is a reason, or fail where everything has to be there."""
    if why_not and os.environ.get("REPO_REQUIRE_SERVICES") == "1":
        pytest.fail(f"REPO_REQUIRE_SERVICES=1, and {why_not}", pytrace=False)
    if why_not:
        pytest.skip(why_not)


def need_program(name: str, package: str) -> None:
    need(None if program(name) else f"{name} is not installed (apt-get install {package})")
