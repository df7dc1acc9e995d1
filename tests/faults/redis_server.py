"""A Redis of our own."""

from __future__ import annotations

import socket
from typing import Any, ClassVar

from tests.faults.processes import LOOPBACK, Server, program


class RedisServer(Server):
    """A server on 127.0.0.1 that keeps nothing on disk; with a ``password`` it lets nobody in who hasn't it."""

    user: ClassVar[str] = "redis"

    def __init__(self, password: str | None = None) -> None:
        super().__init__()
        self.password = password

    def command(self) -> list[str]:
        secret = [] if self.password is None else ["--requirepass", self.password]
        return [
            *(str(program("redis-server")), "--bind", LOOPBACK, "--port", str(self.port)),
            *("--save", "", "--appendonly", "no", "--dir", str(self.folder), *secret),
        ]

    def is_ready(self) -> bool:
        return self.ask("PING")[:1] in ("+", "-")  # also one that asks for a password first

    @property
    def url(self) -> str:
        return f"redis://{LOOPBACK}:{self.port}/0"

    def ask(self, command: str) -> str:
        """Its answer to one command, nothing where there is none."""
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=2) as sock:
                sock.sendall(f"{command}\r\n".encode())
                return sock.recv(65536).decode()
        except OSError:
            return ""

    def clients(self) -> int:
        """How many connections it has besides the one that asks."""
        lines = self.ask("INFO clients").splitlines()
        return int(next(line.partition(":")[2] for line in lines if line.startswith("connected_clients"))) - 1

    def client(self, password: str | None = None) -> Any:
        """An administrator's client."""
        import redis  # which not every run has

        return redis.Redis(host=LOOPBACK, port=self.port, password=password, socket_timeout=2, socket_connect_timeout=2)

    def configure(self, **settings: str) -> None:
        with self.client() as client:
            for name, value in settings.items():
                client.config_set(name.replace("_", "-"), value)
