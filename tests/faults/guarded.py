"""Databases that are reached as users of the package reach them: through its engines, by verbs of its repositories."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import connections
from django.db.models import Model

from django_enterprise_repo.exceptions import RepositoryDatabaseError
from django_enterprise_repo.policies import BreakerPolicy, RetryPolicy
from django_enterprise_repo.resilience.breakers import breaker, reset_breakers
from django_enterprise_repo.resilience.budget import budget
from django_enterprise_repo.resilience.deadlines import watched
from tests.faults import django_env
from tests.faults.clusters import PostgresCluster
from tests.faults.history import History, Verdict
from tests.faults.processes import wait_until
from tests.faults.proxy import FaultProxy
from tests.testapp.models import Category, Entry, Plain

if TYPE_CHECKING:  # its driver may be missing
    from tests.faults.mariadb import MariaDBServer

ALIAS = "guarded"
BOTH = ("postgres", "mariadb")
PATIENCE = 30.0  # seconds, on a busy machine


class Kind(NamedTuple):
    """A way to write: a model, and the column that takes the id of the write."""

    model: type[Any]
    field: str

    def add(self, write: str, **options: Any) -> Any:
        return self.model.objects.add(self.model(**{self.field: write}), using=ALIAS, **options)


STATEMENT = Kind(Category, "name")  # one INSERT in autocommit mode
TRANSACTION = Kind(Plain, "name")  # BEGIN, INSERT, COMMIT
AUDITED = Kind(Entry, "text")  # with a history row in the same transaction
KINDS = [STATEMENT, TRANSACTION, AUDITED]


@dataclass
class GuardedDatabase:
    """A database under the alias ``guarded``; at first behind ``proxy``."""

    vendor: str
    server: PostgresCluster | MariaDBServer
    proxy: FaultProxy
    name: str
    django_settings: Any  # pytest-django's fixture

    @property
    def settings(self) -> dict[str, Any]:
        """Settings for Django, which keeps the connection until something breaks it."""
        if self.vendor == "postgres":
            engine, make = "postgresql", django_env.postgres
            options = {"application_name": ALIAS}
        else:
            engine, make, options = "mysql", django_env.mariadb, {}
        made = make(self.name, self.proxy.port, engine=f"django_enterprise_repo.db.backends.{engine}", **options)
        return {**made, "CONN_MAX_AGE": None}

    def create_tables(self) -> None:
        """Make the tables, and begin as a process does that has not asked the database for anything."""
        django_env.create_tables(ALIAS, *(kind.model for kind in KINDS))
        connections[ALIAS].close()
        self.forget()

    def forget(self) -> None:
        """New breakers, and a full budget for retries."""
        reset_breakers()
        budget.reset()
        with watched(time.monotonic() + PATIENCE):
            pass  # its thread stays, and is nobody's leak

    def policies(self, **policies: BreakerPolicy | RetryPolicy | None) -> None:
        """Say how the project is set up: ``retry=``, with ``None`` for one attempt, and ``breaker=``."""
        self.django_settings.ENTERPRISE_REPO = {name.upper(): policy for name, policy in policies.items()}
        self.forget()

    def configure(self, *, direct: bool = False, **options: Any) -> None:
        """Add to the driver's options for connections made from now on; ``direct`` leaves the proxy out."""
        connections[ALIAS].close()
        del connections[ALIAS]
        settings: Any = connections.settings[ALIAS]
        settings["OPTIONS"] = {**settings["OPTIONS"], **options}
        if "pool" in options:
            settings["CONN_MAX_AGE"] = 0  # Django insists
        if direct:
            settings["PORT"] = str(self.server.port)

    @property
    def circuit(self) -> Any:
        return breaker(ALIAS)

    # What the server says.

    def execute(self, statement: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        return self.server.execute(statement, parameters, database=self.name)

    def sessions(self) -> list[int]:
        """The application's sessions, as the server sees them."""
        if isinstance(self.server, PostgresCluster):
            return [backend.pid for backend in self.server.backends(ALIAS)]
        listed = self.server.execute(
            "SELECT id FROM information_schema.processlist WHERE db = %s AND id <> connection_id()", [self.name]
        )
        return [session for (session,) in listed]

    def own_session(self) -> int:
        """The session of this thread's connection."""
        driver = connections[ALIAS].connection
        return int(driver.info.backend_pid if self.vendor == "postgres" else driver.thread_id())

    def terminate(self, *sessions: int) -> None:
        """End sessions as an administrator does, all of them when none is named."""
        statement = "SELECT pg_terminate_backend(%s)" if self.vendor == "postgres" else "KILL %s"
        doomed = sessions or tuple(self.sessions())
        for session in doomed:
            self.server.execute(statement, [session])
        wait_until(lambda: not set(doomed) & set(self.sessions()), PATIENCE, "the sessions are gone")

    def waiting(self) -> list[int]:
        """The application's sessions that wait for somebody's lock."""
        if isinstance(self.server, PostgresCluster):
            return [backend.pid for backend in self.server.backends(ALIAS) if backend.wait_event_type == "Lock"]
        listed = self.server.execute(
            "SELECT id FROM information_schema.processlist WHERE db = %s AND (state LIKE 'Waiting for %%lock'"
            " OR id IN (SELECT trx_mysql_thread_id FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'))",
            [self.name],
        )
        return [session for (session,) in listed]

    def wait_for_waiting(self, n: int = 1) -> list[int]:
        wait_until(lambda: len(self.waiting()) >= n, PATIENCE / 2, f"{n} sessions wait for a lock")
        return self.waiting()

    @contextmanager
    def held(self, model: type[Model]) -> Iterator[Callable[[], None]]:
        """Let nobody read or write the table until the block ends, or the function that it gets is called."""
        table = model._meta.db_table
        if isinstance(self.server, PostgresCluster):
            holder: Any = self.server.connect(self.name, autocommit=False)
            holder.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        else:
            holder = self.server.connect()
            holder.cursor().execute(f"LOCK TABLES {self.name}.{table} WRITE")
        released = threading.Event()

        def release() -> None:
            if not released.is_set():
                released.set()
                holder.close()

        try:
            yield release
        finally:
            release()

    # Writes and what became of them.

    def write(self, history: History, kind: Kind = STATEMENT, **options: Any) -> None:
        """Make one write and note what the package says of it; failures go on."""
        record(history, lambda write: kind.add(write, **options))

    def check(self, history: History, kind: Kind = STATEMENT) -> Verdict:
        """Compare rows and history, and an audited model's rows with their own histories."""
        table = kind.model._meta.db_table
        found = self.execute(f"SELECT {kind.field} FROM {table}")
        if kind is AUDITED:
            recorded = self.execute(f"SELECT {kind.field} FROM {Entry.history.model._meta.db_table}")  # type: ignore[attr-defined]
            assert sorted(recorded) == sorted(found), "The audit trail differs from the rows."
        return history.check(row[0] for row in found)


def record(history: History, save: Callable[[str], Any]) -> None:
    """Make a write by ``save``, which gets its id, and note what is said of it: only what is certain has failed."""
    write = uuid.uuid4().hex
    history.record(write, "begun")
    try:
        save(write)
    except RepositoryDatabaseError as error:
        history.record(write, "failed" if error.fate == "not_applied" else "unknown")
        raise
    except BaseException:
        history.record(write, "unknown")
        raise
    history.record(write, "ok")


@contextmanager
def in_background(call: Callable[[], Any]) -> Iterator[Future[Any]]:
    """Run ``call`` in another thread, which ends before the block does."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(call)


def counts(circuit: Any) -> Mapping[str, int]:
    """What the breaker has counted, ``fail_counter`` included."""
    state = circuit.snapshot()
    return {**state.window._asdict(), "fail_counter": state.fail_counter}
