"""A MariaDB server of our own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import MySQLdb

from tests.faults.processes import LOOPBACK, Server, program


class MariaDBServer(Server):
    """A server with an empty data directory, for ``root`` without a password on 127.0.0.1."""

    user: ClassVar[str] = "mysql"

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    def command(self) -> list[str]:
        return [
            str(program("mariadbd")),
            "--no-defaults",
            f"--datadir={self._data}",
            f"--socket={self.folder / 'socket'}",
            f"--pid-file={self.folder / 'pid'}",
            f"--bind-address={LOOPBACK}",
            f"--port={self.port}",
            "--skip-name-resolve",
            "--character-set-server=utf8mb4",
            "--innodb-buffer-pool-size=16M",
            "--innodb-log-file-size=8M",
        ]

    def is_ready(self) -> bool:
        try:
            MySQLdb.connect(unix_socket=str(self.folder / "socket"), user="root", connect_timeout=2).close()
        except MySQLdb.OperationalError:
            return False
        return True

    def start(self, *, wait: bool = True) -> None:
        if not (self.folder / "data").exists():
            self.run(
                str(program("mariadb-install-db")), "--no-defaults", f"--datadir={self._data}",
                "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve",
                "--innodb-log-file-size=8M",
            )  # fmt: skip
        super().start(wait=wait)

    def connect(self, database: str = "", **options: Any) -> Any:
        """A connection in autocommit mode, for the test's own eyes."""
        options = {"user": "root", "autocommit": True, "connect_timeout": 5, **options}
        return MySQLdb.connect(host=LOOPBACK, port=self.port, database=database, **options)

    def execute(self, statement: str, parameters: Any = None, *, database: str = "") -> list[tuple[Any, ...]]:
        """Run one statement in autocommit mode; its rows, or none."""
        connection = self.connect(database)
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement, parameters)
                return list(cursor.fetchall())
        finally:
            connection.close()

    @contextmanager
    def database(self) -> Iterator[str]:
        """The name of a new database, dropped in the end."""
        name = f"faults_{uuid.uuid4().hex}"
        self.execute(f"CREATE DATABASE {name}")
        try:
            yield name
        finally:
            self.heal()
            self.execute(f"DROP DATABASE IF EXISTS {name}")
