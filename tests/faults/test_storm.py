"""A short storm; ``make storm`` makes a long one."""

from __future__ import annotations

import random

import pytest

from tests.faults.conftest import need_postgres
from tests.faults.storm import storm


@pytest.mark.usefixtures("databases")
def test_after_a_storm_everything_is_as_the_clients_were_told(tmp_path):
    need_postgres()
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")  # shown when it fails

    figures = storm(15.0, seed, tmp_path)

    assert figures.holds, figures
    assert len(figures.faults) > 3
    assert figures.reads_right > 0
