"""PostgreSQL clusters of our own, from the newest version installed."""

from __future__ import annotations

import re
import signal
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import psycopg
from psycopg import sql

from tests.faults.disks import SizedDisk
from tests.faults.processes import LOOPBACK, Server, wait_until

APPLICATION_USER = "application"  # no superuser: it can't take the connections reserved for the test's own eyes
_STOP = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
_SMALL = {"shared_buffers": "16MB", "fsync": "on", "max_wal_size": "64MB", "min_wal_size": "5MB", "ssl": "off"}


def programs() -> Path | None:
    """The folder with the programs of the newest PostgreSQL, ``None`` where there is none."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(found, key=lambda path: int(re.sub(r"\D", "", path.parent.name) or 0), default=None)


@dataclass(frozen=True)
class Backend:
    """A client's backend as ``pg_stat_activity`` shows it."""

    pid: int
    application_name: str
    database: str
    state: str | None
    wait_event_type: str | None
    query: str


class PostgresCluster(Server):
    """A cluster with trust authentication for ``postgres``, on 127.0.0.1 and on a socket in its folder.

    ``settings`` go to its configuration file. With ``disk_size`` (bytes) its tables lie on a ``disk`` of that size, and
    the write-ahead log does not: where the log has no room PostgreSQL panics, where tables have none it says 53100.
    """

    user: ClassVar[str] = "postgres"
    last_signal: ClassVar[signal.Signals] = signal.SIGQUIT  # SIGKILL leaves shared memory behind

    def __init__(self, settings: Mapping[str, str] | None = None, *, disk_size: int | None = None) -> None:
        super().__init__()
        self.disk = SizedDisk(self, disk_size) if disk_size else None
        self.data = (self.disk.path if self.disk else self.folder) / "data"
        self.settings = {**_SMALL, **(settings or {})}
        self._is_changed = False

    def command(self) -> list[str]:
        fixed = {
            "port": self.port,
            "listen_addresses": LOOPBACK,
            "unix_socket_directories": self.folder,
            "logging_collector": "off",
            "dynamic_shared_memory_type": "mmap",  # in files of the data directory
            "log_min_messages": "warning",
        }
        options = [part for name, value in fixed.items() for part in ("-c", f"{name}={value}")]
        return [str(self._program("postgres")), "-D", str(self.data), *options]

    def is_ready(self) -> bool:
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[0] == str(self.pid) and lines[7].strip() in ("ready", "standby")

    def start(self, *, wait: bool = True) -> None:
        if not self.data.exists():
            self.create()
        super().start(wait=wait)

    def create(self) -> None:
        """Make the data directory."""
        if self.disk:
            self.disk.mount()
        wal = self.folder / "wal"
        self.run(
            self._program("initdb"), "--no-sync", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8",
            "--wal-segsize=1", "-X", wal, "-D", self.data,
        )  # fmt: skip
        with (self.data / "postgresql.conf").open("a") as configuration:
            configuration.writelines(f"{name} = '{value}'\n" for name, value in self.settings.items())

    def stop(self, mode: Literal["smart", "fast", "immediate"] = "fast", *, wait: bool = True) -> None:
        """``smart`` lets clients finish, ``fast`` ends them, ``immediate`` also leaves recovery to the next start."""
        self._signal(_STOP[mode], wait=wait)

    def connect(self, database: str = "postgres", **options: Any) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection in autocommit mode, for the test's own eyes."""
        options = {
            "user": "postgres",
            "autocommit": True,
            "connect_timeout": 5,
            "application_name": "faults",
            **options,
        }
        return psycopg.connect(host=LOOPBACK, port=self.port, dbname=database, **options)

    def execute(self, statement: Any, parameters: Any = None, *, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement in autocommit mode; its rows, or none."""
        with self.connect(database) as connection:
            cursor = connection.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    def backends(self, application_name: str | None = None) -> list[Backend]:
        """The clients there are, those of the test itself (``connect``, ``execute``) not among them."""
        rows = self.execute(
            "SELECT pid, application_name, datname, state, wait_event_type, query FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND application_name <> 'faults' ORDER BY pid"
        )
        found = [Backend(*row) for row in rows]
        return [backend for backend in found if application_name in (None, backend.application_name)]

    def set(self, parameter: str, value: str | int | None) -> None:
        """Change a parameter for all sessions from now on, ``None`` for its default; some need a restart."""
        name = sql.Identifier(parameter)
        (loaded,) = self.execute("SELECT pg_conf_load_time()")[0]
        self.execute(
            sql.SQL("ALTER SYSTEM RESET {}").format(name)
            if value is None
            else sql.SQL("ALTER SYSTEM SET {} = {}").format(name, sql.Literal(str(value)))
        )
        self._is_changed = True
        self.execute("SELECT pg_reload_conf()")
        # A new backend inherits the time at which the postmaster read its files.
        wait_until(
            lambda: self.execute("SELECT pg_conf_load_time()")[0][0] > loaded, self.patience, "the reload has happened"
        )

    @contextmanager
    def database(self) -> Iterator[str]:
        """The name of a new database that belongs to ``APPLICATION_USER``, dropped with all connections in the end."""
        plain_name = f"faults_{uuid.uuid4().hex}"
        name, user = sql.Identifier(plain_name), sql.Identifier(APPLICATION_USER)
        if not self.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [APPLICATION_USER]):
            self.execute(sql.SQL("CREATE ROLE {} LOGIN").format(user))
        self.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, user))
        try:
            yield plain_name
        finally:
            self.heal()
            self.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))

    def standby(self, name: str = "standby") -> Standby:
        """A streaming standby, not started; ``name`` is what ``synchronous_standby_names`` calls it."""
        return Standby(self, name)

    def heal(self) -> None:
        """Run again, with the parameters it began with, and with room on its disk."""
        if self.disk:
            self.disk.free()
        super().heal()
        wait_until(self._answers, self.patience, "the cluster answers")
        if self._is_changed:
            self.execute("ALTER SYSTEM RESET ALL")
            self._is_changed = False
            self.restart()

    def clean(self) -> None:
        self._remove_shared_memory()
        if self.disk:
            self.disk.unmount()

    def _answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def _remove_shared_memory(self) -> None:
        """What a killed postmaster leaves; its lock file, which then is there still, has the segment's id."""
        lock = self.data / "postmaster.pid"
        lines = lock.read_text().splitlines() if lock.exists() else []
        if len(lines) > 6 and lines[6].strip():
            subprocess.run(["ipcrm", "-m", lines[6].split()[1]], check=True)

    def _program(self, name: str) -> Path:
        folder = programs()
        assert folder, "PostgreSQL is not installed."
        return folder / name


class Standby(PostgresCluster):
    """Follows ``primary`` over a replication connection, until it is promoted."""

    def __init__(self, primary: PostgresCluster, name: str) -> None:
        super().__init__()
        self.primary = primary
        self.name = name

    def create(self) -> None:
        source = f"host={LOOPBACK} port={self.primary.port} user=postgres application_name={self.name} sslmode=disable"
        self.run(
            self._program("pg_basebackup"), "-d", source, "-D", self.data, "-R", "-X", "stream",
            "--checkpoint=fast", "--no-sync",
        )  # fmt: skip

    def catch_up(self) -> None:
        """Wait until it has replayed what the primary has written until now."""
        (position,) = self.primary.execute("SELECT pg_current_wal_lsn()")[0]
        wait_until(
            lambda: bool(self.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", [position])[0][0]),
            self.patience,
            "the standby has caught up",
        )

    def promote(self) -> None:
        """Make it a primary of its own; returns when it takes writes."""
        (is_promoted,) = self.execute("SELECT pg_promote(wait => true, wait_seconds => 30)")[0]
        assert is_promoted, "The standby was not promoted."
