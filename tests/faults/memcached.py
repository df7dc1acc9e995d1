"""A memcached of our own."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import ClassVar

from tests.faults.processes import LOOPBACK, Server, program


class Memcached(Server):
    """A server on 127.0.0.1 with an empty memory of 16 MB."""

    user: ClassVar[str] = "memcache"

    def command(self) -> list[str]:
        return [str(program("memcached")), f"--listen={LOOPBACK}", f"--port={self.port}", "--memory-limit=16"]

    def is_ready(self) -> bool:
        with suppress(OSError), socket.create_connection((LOOPBACK, self.port), timeout=2) as connection:
            connection.sendall(b"version\r\n")
            return connection.recv(64).startswith(b"VERSION")
        return False

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self.port}"
