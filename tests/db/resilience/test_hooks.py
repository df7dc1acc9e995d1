"""The four hooks of an engine: statements, savepoints, before COMMIT, and how it ended."""

from __future__ import annotations

import os
import threading

import pytest
from django.db import DatabaseError, connection, connections, transaction

from django_enterprise_repo.db import hooks
from tests.faults.django_env import databases
from tests.testapp.models import Item, Plain

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(os.environ.get("REPO_ENGINE") == "django", reason="Django's own engine tells of commits alone"),
]


class Recorder:
    """Listens, and writes down what it hears of the default database."""

    def __init__(self):
        self.heard = []
        self.objects_to_commit = False

    def statement(self, connection, sql, kind):
        self.heard.append(kind)

    def savepoint(self, connection, sid, event):
        self.heard.append(f"savepoint {event}")

    def before_commit(self, connection):
        self.heard.append("before commit")
        if self.objects_to_commit:
            raise DatabaseError("not now")

    def finished(self, connection, fate):
        self.heard.append(fate)

    @property
    def without_statements(self):
        return [event for event in self.heard if event not in ("read", "savepoint", "begin", "session")]


@pytest.fixture
def hooked():
    connection.ensure_connection()
    recorder = Recorder()
    hooks.listen(recorder)
    yield recorder
    hooks.ignore(recorder)


def test_a_statement_outside_a_transaction_is_one(hooked):
    Plain.objects.create(name="a")
    assert [event for event in hooked.heard if event != "begin"] == ["write", "committed"]


def test_reads_end_nothing(hooked):
    list(Plain.objects.all())
    assert hooked.heard == ["read"]


def test_a_block_commits_once(hooked):
    with transaction.atomic():
        Plain.objects.create(name="a")
        Plain.objects.create(name="b")
    assert hooked.without_statements == ["write", "write", "before commit", "committed"]


def test_a_failed_block_rolls_back_once(hooked):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        Plain.objects.create(name="a")
        raise ZeroDivisionError
    assert hooked.without_statements == ["write", "rolled_back"]


def test_savepoints(hooked):
    with transaction.atomic():
        with transaction.atomic():
            pass
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            raise ZeroDivisionError
    assert hooked.without_statements == [
        "savepoint opened",
        "savepoint released",
        "savepoint opened",
        "savepoint rolled_back",
        "savepoint released",
        "before commit",
        "committed",
    ]


def test_who_objects_to_a_commit_has_it_rolled_back(hooked):
    hooked.objects_to_commit = True
    with pytest.raises(DatabaseError, match="not now"), transaction.atomic():
        Plain.objects.create(name="a")
    assert hooked.without_statements == ["write", "before commit", "rolled_back"]
    assert not Plain.objects.exists()


def test_a_commit_written_as_sql(hooked):
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(f"DELETE FROM {Plain._meta.db_table}")
        cursor.execute("COMMIT")
    assert hooked.heard == ["begin", "write", "commit", "before commit", "committed"]


def test_who_objects_to_a_commit_written_as_sql_has_it_rolled_back(hooked):
    hooked.objects_to_commit = True
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(f"INSERT INTO {Plain._meta.db_table} (name) VALUES ('a')")
        with pytest.raises(DatabaseError, match="not now"):
            cursor.execute("COMMIT")
    assert hooked.heard[-2:] == ["before commit", "rolled_back"]
    assert not Plain.objects.exists()


def test_a_rollback_written_as_sql(hooked):
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("ROLLBACK")
    assert hooked.heard == ["begin", "rollback", "rolled_back"]


def test_closing_within_a_block(hooked):
    if connection.is_in_memory_db() if connection.vendor == "sqlite" else False:
        pytest.skip("a database in memory is never closed")
    with transaction.atomic():
        Plain.objects.create(name="a")
        connection.close()
    assert hooked.without_statements == ["write", "closed"]
    assert not Plain.objects.exists()


def test_a_refused_statement_was_rolled_back(hooked):
    item = Item.objects.create(name="a")
    hooked.heard.clear()
    with pytest.raises(DatabaseError):
        Item.objects.bulk_create([Item(pk=item.pk, name="b")])
    assert hooked.without_statements[-1] == "rolled_back"


def test_what_a_cursor_of_the_driver_sends(hooked):
    if connection.vendor != "postgresql":
        pytest.skip("only psycopg lets an engine give its cursors")
    with connection.connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {Plain._meta.db_table} (name) VALUES ('a')")
        cursor.executemany(f"INSERT INTO {Plain._meta.db_table} (name) VALUES (%s)", [["b"], ["c"]])
        with cursor.copy(f"COPY {Plain._meta.db_table} (name) FROM STDIN") as copy:
            copy.write_row(["d"])
        list(cursor.stream(f"DELETE FROM {Plain._meta.db_table} RETURNING name"))
    assert hooked.heard == ["write", "committed"] * 4


def test_psycopg_statements_within_a_block(hooked):
    if connection.vendor != "postgresql":
        pytest.skip("only psycopg lets an engine give its cursors")
    with transaction.atomic():
        connection.connection.execute(f"INSERT INTO {Plain._meta.db_table} (name) VALUES ('a')")
    assert hooked.heard == ["write", "before commit", "committed"]


def test_a_commit_that_the_server_turns_into_a_rollback(hooked):
    if connection.vendor != "postgresql":
        pytest.skip("only PostgreSQL answers a COMMIT by rolling back, without an error")
    with transaction.atomic(), pytest.raises(Exception, match="syntax error"):
        connection.connection.execute("no SQL")
    assert hooked.without_statements == ["write", "before commit", "rolled_back"]


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_a_connection_of_a_pool_tells_in_the_name_of_who_has_it():
    if connection.vendor != "postgresql":
        pytest.skip("only PostgreSQL has pools")
    pooled = {**connections["other"].settings_dict, "CONN_MAX_AGE": 0, "TEST": {}}
    pooled["OPTIONS"] = {**pooled["OPTIONS"], "pool": {"min_size": 1, "max_size": 1}}
    told = []

    class Listener(Recorder):
        def statement(self, connection, sql, kind):
            told.append((connection, kind))

    def write():
        Plain.objects.using("other").create(name="a")
        made_by.append(connections["other"])
        sockets.append(connections["other"].connection.fileno())
        connections["other"].close()  # back into the pool

    made_by, sockets, listener = [], [], Listener()
    with databases({"other": pooled}):
        connections["other"].ensure_connection()
        connections["other"].close()
        hooks.listen(listener)
        try:
            thread = threading.Thread(target=write)
            thread.start()
            thread.join(10)
            write()
        finally:
            hooks.ignore(listener)
        assert len(set(sockets)) == 1
        assert [kind for _, kind in told] == ["write", "write"]
        assert [wrapper for wrapper, _ in told] == made_by
        assert listener.heard.count("committed") == 2


def test_who_fails_before_a_commit_has_it_rolled_back(hooked, monkeypatch):
    """Django rolls back for a DatabaseError alone; any other one made SQLite commit."""

    def fail(connection):
        raise ValueError("a defect")

    monkeypatch.setattr(hooked, "before_commit", fail)
    with pytest.raises(DatabaseError), transaction.atomic():
        Plain.objects.create(name="a")
    assert hooked.heard[-1] == "rolled_back"
    assert not Plain.objects.exists()


def test_who_fails_after_a_commit_changes_nothing(hooked, monkeypatch, caplog):
    def fail(connection, fate):
        raise ValueError("a defect with a secret in it")

    monkeypatch.setattr(hooked, "finished", fail)
    with transaction.atomic():
        Plain.objects.create(name="a")
    assert Plain.objects.count() == 1
    assert [record.message for record in caplog.records] == ["hook_failed"]
    assert "secret" not in caplog.text
