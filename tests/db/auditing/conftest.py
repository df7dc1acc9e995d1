"""Who acts in the tests of the audit."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model


@pytest.fixture
def ada():
    return get_user_model().objects.create(username="ada")


@pytest.fixture
def bob():
    return get_user_model().objects.create(username="bob")
