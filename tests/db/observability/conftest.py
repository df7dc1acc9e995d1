"""What the tests of metrics and logs share: breakers that have seen nothing, a listener that has reported nothing."""

from __future__ import annotations

import pytest

from django_enterprise_repo.observability import listening
from django_enterprise_repo.resilience import breakers
from django_enterprise_repo.resilience.budget import budget


@pytest.fixture(autouse=True)
def _fresh():
    breakers.reset_breakers()
    budget.reset()
    listening.start()
    yield
    listening.start()
    breakers.reset_breakers()
