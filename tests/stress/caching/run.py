"""One subject under stress, in a database and under a prefix of its own."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.services import POSTGRES, REDIS
from tests.stress.caching import clients
from tests.stress.caching.history import Get, Judgement, Write, judge, load
from tests.stress.caching.subjects import LOCK_TTL, Subject

ROOT = Path(__file__).resolve().parents[3]
WRITERS, READERS = 4, 6
PATIENCE = 60.0


@dataclass(kw_only=True)
class Figures(Judgement):
    """What the stress came to.

    Attributes:
        seconds: how long it lasted.
        written: rows in acknowledged writes.
        taken_back: rows in writes that were rolled back, or that a deadlock ended.
        stale_at_rest: rows that a get still has wrong when everybody is done and the locks have expired.
    """

    subject: str
    seconds: float
    written: int
    taken_back: int
    stale_at_rest: int

    @property
    def quiet_ratio(self) -> float:
        """Hits among the gets of rows that nobody had written for a lock's lifetime."""
        return self.quiet_hits / self.quiet_gets if self.quiet_gets else 0.0

    @property
    def is_coherent(self) -> bool:
        return not (self.stale or self.went_back or self.uncommitted or self.stale_at_rest)


def run_apart(subject: Subject, seconds: float) -> Figures:
    """Put a subject under stress in a process with settings of its own: some of them change Django itself.

    Raises:
        subprocess.CalledProcessError: it did not get to an end; what it said is in this process's standard error.
    """
    name = f"stress_{uuid.uuid4().hex[:12]}"
    environment = {**os.environ, "REPO_STRESS_SUBJECT": subject.name, "REPO_STRESS_NAME": name}
    environment["DJANGO_SETTINGS_MODULE"] = "tests.stress.caching.settings"
    command = [sys.executable, "-m", __name__, str(seconds)]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return Figures(**json.loads(done.stdout))


def run(seconds: float) -> Figures:
    """Put the subject of the settings under stress."""
    import django
    from django.apps import apps
    from django.conf import settings

    django.setup()
    model = apps.get_model("stress", settings.SUBJECT.model)
    with _database(settings.NAME), _prefix(settings.NAME), tempfile.TemporaryDirectory() as folder:
        _create(model)
        _work(Path(folder), seconds)
        writes = [write for path in Path(folder).glob("write*") for write in load(Write, path)]
        gets = (get for path in Path(folder).glob("read*") for get in load(Get, path))
        judgement = judge(gets, writes, _committed(), LOCK_TTL)
        return Figures(
            **asdict(judgement),
            subject=settings.SUBJECT.name,
            seconds=seconds,
            written=sum(bool(write.mark) for write in writes),
            taken_back=sum(not write.mark for write in writes),
            stale_at_rest=_stale_at_rest(settings.SUBJECT, model),
        )


@contextmanager
def _database(name: str) -> Iterator[None]:
    import psycopg
    from django.db import connections

    with psycopg.connect(POSTGRES.url, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        try:
            yield
        finally:
            connections.close_all()
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def _prefix(name: str) -> Iterator[None]:
    """No keys are left that have the name in theirs."""
    import redis

    try:
        yield
    finally:
        with redis.Redis.from_url(REDIS.url) as server:
            for key in server.scan_iter(f"*{name}*", count=1000):
                server.unlink(key)


def _create(model: type[Any]) -> None:
    """The table with its rows, and a journal of what the database has committed, whoever wrote it and however."""
    from django.db import connection
    from django.db.models import QuerySet

    with connection.schema_editor() as editor:
        editor.create_model(model)
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE journal (id bigint, mark bigint, version bigint)")
        cursor.execute(
            "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " INSERT INTO journal VALUES (NEW.id, NEW.mark, NEW.version); RETURN NULL; END $$"
        )
        cursor.execute(
            f"CREATE TRIGGER keeping AFTER INSERT OR UPDATE ON {model._meta.db_table}"
            " FOR EACH ROW EXECUTE FUNCTION keep()"
        )
    QuerySet(model).bulk_create([model(pk=number + 1, name=f"row {number}") for number in range(clients.ROWS)])


def _committed() -> dict[tuple[int, int], int]:
    """The version of each row and mark."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT id, mark, max(version) FROM journal GROUP BY id, mark")
        return {(pk, mark): version for pk, mark, version in cursor.fetchall()}


def _work(folder: Path, seconds: float) -> None:
    """Let all processes begin at once, and wait for their end."""
    context = multiprocessing.get_context("spawn")
    begin = context.Barrier(WRITERS + READERS)
    roles = [("write", number) for number in range(WRITERS)] + [("read", number) for number in range(READERS)]
    processes = [
        context.Process(
            target=getattr(clients, role), args=[number, folder / f"{role} {number}", begin, seconds], daemon=True
        )
        for role, number in roles
    ]
    for process in processes:
        process.start()
    until = time.monotonic() + seconds + PATIENCE
    for process in processes:
        process.join(max(0.0, until - time.monotonic()))
    codes = [process.exitcode for process in processes]
    assert codes == [0] * len(codes), f"The processes ended with {codes}; None is stuck."


def _stale_at_rest(subject: Subject, model: type[Any]) -> int:
    """How many rows a get has wrong when nobody writes any more; the journal is what nobody caches."""
    from tests.stress.caching import gets

    time.sleep(LOCK_TTL + 0.5)
    last: dict[int, int] = {}
    for (pk, _), version in _committed().items():
        last[pk] = max(version, last.get(pk, 0))
    return sum(getattr(gets, subject.get)(model, pk).version != version for pk, version in last.items())


if __name__ == "__main__":
    print(json.dumps(asdict(run(float(sys.argv[1])))))
