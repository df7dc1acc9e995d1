"""Caches on real servers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.memcached import Memcached
from tests.needs import need, need_program
from tests.services import REDIS


@pytest.fixture(scope="session")
def memcached() -> Iterator[Memcached]:
    need_program("memcached", "memcached")
    with Memcached() as server:
        yield server


@pytest.fixture
def redis_url() -> str:
    need(REDIS.missing())
    return REDIS.url
