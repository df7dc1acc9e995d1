"""No answer of one test is one of the next."""

from __future__ import annotations

import pytest

from django_enterprise_repo.health import examination, lanes
from django_enterprise_repo.resilience import breakers


@pytest.fixture(autouse=True)
def _new_lanes():
    lanes.forget()
    examination._last.clear()
    breakers.reset_breakers()
    yield
    lanes.forget()
    breakers.reset_breakers()
