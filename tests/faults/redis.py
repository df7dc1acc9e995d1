"""A Redis of our own."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, ClassVar

import redis

from tests.faults.processes import LOOPBACK, Server, program


class RedisServer(Server):
    """A server on 127.0.0.1 that keeps nothing on disk."""

    user: ClassVar[str] = "redis"

    def command(self) -> list[str]:
        return [
            *(str(program("redis-server")), "--bind", LOOPBACK, "--port", str(self.port)),
            *("--save", "", "--appendonly", "no", "--dir", str(self.folder)),
        ]

    def is_ready(self) -> bool:
        with suppress(redis.RedisError), self.client() as client:
            return bool(client.ping())
        return False

    @property
    def url(self) -> str:
        return f"redis://{LOOPBACK}:{self.port}/0"

    def client(self, password: str | None = None) -> Any:
        """An administrator's client."""
        return redis.Redis(host=LOOPBACK, port=self.port, password=password, socket_timeout=2, socket_connect_timeout=2)

    def configure(self, **settings: str) -> None:
        with self.client() as client:
            for name, value in settings.items():
                client.config_set(name.replace("_", "-"), value)
