"""No answer of one test is one of the next."""

from tests.unit.health.conftest import _new_lanes  # noqa: F401  # pytest finds it here
