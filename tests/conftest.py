"""What all tests share."""

from __future__ import annotations

import pytest
from django.conf import settings


@pytest.fixture
def vendor() -> str:
    """The engine under test: ``"sqlite"``, ``"postgres"`` or ``"mariadb"``."""
    return str(settings.REPO_DATABASE)
