"""A PgBouncer of our own, in transaction pooling."""

from __future__ import annotations

from typing import Any, ClassVar

import psycopg

from tests.faults.clusters import APPLICATION_USER
from tests.faults.processes import LOOPBACK, Server, program


class PgBouncer(Server):
    """Pools connections to ``target_port``; ``settings`` go to its configuration file."""

    user: ClassVar[str] = "postgres"

    def __init__(self, target_port: int, **settings: object) -> None:
        super().__init__()
        self._target_port = target_port
        self._settings = {
            "listen_addr": LOOPBACK,
            "listen_port": self.port,
            "unix_socket_dir": self.folder,
            "auth_type": "trust",
            "auth_file": self.folder / "users",
            "admin_users": "postgres",
            "pool_mode": "transaction",
            "default_pool_size": 5,
            "server_login_retry": 0.2,  # seconds; the default of 15 keeps it away from a server long back
            "ignore_startup_parameters": "extra_float_digits,options",
            **settings,
        }

    def command(self) -> list[str]:
        return [str(program("pgbouncer")), "-q", str(self.folder / "pgbouncer.ini")]

    def is_ready(self) -> bool:
        try:
            self.admin("SHOW VERSION")
        except psycopg.OperationalError:
            return False
        return True

    def start(self, *, wait: bool = True) -> None:
        (self.folder / "users").write_text(f'"postgres" ""\n"{APPLICATION_USER}" ""\n')
        lines = [f"{name} = {value}" for name, value in self._settings.items()]
        databases = f"* = host={LOOPBACK} port={self._target_port}"
        (self.folder / "pgbouncer.ini").write_text("\n".join(["[databases]", databases, "[pgbouncer]", *lines, ""]))
        super().start(wait=wait)

    def connect(self, database: str = "postgres", **options: Any) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection in autocommit mode through the pool."""
        # A statement prepared on one server connection is unknown to the next.
        options = {"user": "postgres", "autocommit": True, "connect_timeout": 5, "prepare_threshold": None, **options}
        return psycopg.connect(host=LOOPBACK, port=self.port, dbname=database, **options)

    def admin(self, command: str) -> list[tuple[Any, ...]]:
        """Run a command of its console (``PAUSE``, ``RECONNECT``, ``SHOW POOLS``…), which knows simple queries only."""
        with self.connect("pgbouncer", cursor_factory=psycopg.ClientCursor) as console:
            cursor = console.execute(command)
            return cursor.fetchall() if cursor.description else []
