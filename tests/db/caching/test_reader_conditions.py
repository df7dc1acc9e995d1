"""Who reads something else than what is committed now neither believes the cache nor fills it."""

from __future__ import annotations

import contextvars
import threading
from contextlib import contextmanager

import pytest
from django.conf import settings
from django.db import connection, connections, transaction
from django.test import override_settings

from django_enterprise_repo import identity_map
from django_enterprise_repo.testing import assert_queries
from tests.db.caching.conftest import expire_locks
from tests.faults.django_env import databases
from tests.testapp.models import Bare, Category, Tag

pytestmark = pytest.mark.django_db(transaction=True)

OURS = "django_enterprise_repo" in settings.DATABASES["default"]["ENGINE"]
ours = pytest.mark.skipif(not OURS, reason="our engines")
postgres = pytest.mark.skipif(not OURS or settings.REPO_DATABASE != "postgres", reason="our PostgreSQL")
reads_committed = pytest.mark.skipif(not OURS or settings.REPO_DATABASE == "sqlite", reason="READ COMMITTED")


@pytest.fixture
def cache(everything_cached):
    yield everything_cached
    forget_session()


def forget_session():
    """Go on as a process does that has just begun: what SQL has told a session is remembered as long as its alias."""
    connection.close()
    vars(connections["default"]).pop("repository_fences", None)


@pytest.fixture
def row(cache):
    """A row that is in the cache."""
    row = Bare.objects.add(Bare(name="a"))
    expire_locks(cache)
    Bare.objects.get(row.pk)
    return row


@contextmanager
def asked(**expected):
    """What becomes of the reads inside."""
    before = Bare.objects.cache_info()
    yield
    after = Bare.objects.cache_info()
    counted = {name: getattr(after, name) - getattr(before, name) for name in after._fields}
    assert {name: number for name, number in counted.items() if number} == expected


def execute(*statements, using="default"):
    with connections[using].cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def elsewhere(call):
    """Let another thread, with a connection of its own, do this now."""
    errors = []

    def run():
        try:
            call()
        except BaseException as error:  # noqa: BLE001  # asserted below
            errors.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert not errors, errors


# Query counts.


def test_a_hit_sends_nothing_and_a_miss_one_statement(row, cache):
    with assert_queries(0), asked(hit=2):
        Bare.objects.get(row.pk)
        Bare.objects.get(pk=row.pk)
    cache.clear()
    with assert_queries(1), asked(miss=1, filled=1):
        Bare.objects.get(row.pk)


@pytest.mark.parametrize("missing", [0, 1, 3])
def test_all_that_is_missing_is_read_by_one_statement(missing, row, cache):
    rows = [row, *Bare.objects.add_all([Bare(name=name) for name in "bcd"])]
    expire_locks(cache)
    for known in rows[missing:]:
        Bare.objects.get(known.pk)
    for gone in rows[:missing]:
        Bare.objects.clear_cache(gone.pk)
    expire_locks(cache)
    expected = {"hit": 4 - missing, "miss": missing, "filled": missing}

    with assert_queries(min(missing, 1)), asked(**{name: number for name, number in expected.items() if number}):
        found = Bare.objects.get_many([row.pk for row in rows])

    assert list(found.values()) == rows


def test_a_model_without_a_policy_never_asks(row, monkeypatch):
    monkeypatch.setattr(type(Bare.objects), "cache", None)

    with assert_queries(2), asked():
        assert Bare.objects.get(row.pk) == row
        assert Bare.objects.get_many([row.pk]) == {row.pk: row}


# Transactions.


@reads_committed
def test_a_transaction_that_has_not_written_reads_from_the_cache(row):
    with transaction.atomic(), asked(hit=1):
        Bare.objects.get(row.pk)


WRITES = {
    "verb": lambda row: Bare.objects.update(row.pk, size=1),
    "another model": lambda row: Tag.objects.add(Tag(label="t")),
    "SQL": lambda row: execute("UPDATE testapp_tag SET label = 'x'"),
    "a savepoint that was rolled back": lambda row: roll_back(row),
}


def roll_back(row):
    with transaction.atomic():
        Bare.objects.update(row.pk, size=1)
        transaction.set_rollback(True)


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_transaction_that_has_written_reads_past_the_cache(write, row, cache):
    with transaction.atomic():
        write(row)
        expire_locks(cache)
        kept = {name: value for name, value in cache._cache.items() if name.endswith(":v")}
        with asked(bypassed=2):
            Bare.objects.get(row.pk)
            Bare.objects.get_many([row.pk])
        assert {name: value for name, value in cache._cache.items() if name.endswith(":v")} == kept
    expire_locks(cache)
    assert Bare.objects.get(row.pk).size == Bare.objects.get(row.pk, fresh=True).size


@pytest.mark.parametrize("end", [transaction.commit, transaction.rollback])
def test_without_autocommit_nothing_uncommitted_is_cached(end, row, cache):
    transaction.set_autocommit(False)
    try:
        Bare.objects.update(row.pk, size=1)
        expire_locks(cache)
        with asked(bypassed=1):
            assert Bare.objects.get(row.pk).size == 1
        end()
    finally:
        transaction.set_autocommit(True)
    for _ in range(2):
        assert Bare.objects.get(row.pk).size == (end is transaction.commit)
        expire_locks(cache)


# Snapshots.


SNAPSHOTS = {
    "BEGIN": ["BEGIN ISOLATION LEVEL REPEATABLE READ"],
    "SET TRANSACTION": ["BEGIN", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"],
    "a default": ["SET default_transaction_isolation TO 'repeatable read'", "BEGIN"],
    "a function": ["SELECT set_config('default_transaction_isolation', 'repeatable read', false)", "BEGIN"],
}


@postgres
@pytest.mark.parametrize("begin", SNAPSHOTS.values(), ids=SNAPSHOTS)
def test_a_snapshot_that_sql_has_asked_for(begin, row, cache):
    execute(*begin)
    try:
        with asked(bypassed=1):
            Bare.objects.get(row.pk)
        elsewhere(lambda: Bare.objects.update(row.pk, size=1))
        expire_locks(cache)
        with asked(bypassed=1):
            assert Bare.objects.get(row.pk).size == 0
    finally:
        execute("COMMIT")
        connection.close()
    assert Bare.objects.get(row.pk).size == 1


@postgres
@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_one_transaction_that_reads_committed_says_nothing_of_the_next(row):
    from psycopg import IsolationLevel

    snapshots = {**connection.settings_dict, "OPTIONS": {"isolation_level": IsolationLevel.REPEATABLE_READ}}
    with databases({"other": snapshots}), override_settings(DATABASE_ROUTERS=[]):
        with transaction.atomic(using="other"):
            execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED", using="other")
            Bare.objects.get(row.pk, using="other")
        with transaction.atomic(using="other"), asked(bypassed=1):
            Bare.objects.get(row.pk, using="other")


@pytest.mark.skipif(not OURS or settings.REPO_DATABASE != "mariadb", reason="our MariaDB")
@pytest.mark.parametrize(
    "begin",
    [
        ["SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "BEGIN"],
        ["SET SESSION tx_isolation = 'SERIALIZABLE'", "BEGIN"],
        ["START TRANSACTION WITH CONSISTENT SNAPSHOT"],
    ],
)
def test_a_snapshot_of_mariadb(begin, row):
    execute(*begin)
    try:
        with asked(bypassed=1):
            Bare.objects.get(row.pk)
    finally:
        execute("COMMIT")
        connection.close()


@pytest.mark.skipif(not OURS or settings.REPO_DATABASE != "sqlite", reason="our SQLite")
class TestSqliteWithAStatementUnderWay:
    @pytest.fixture(autouse=True)
    def _readers_keep_nobody_waiting(self):
        execute("PRAGMA journal_mode = WAL")
        yield
        execute("PRAGMA journal_mode = DELETE")

    @pytest.fixture
    def rows(self, row, cache):
        Bare.objects.add_all([Bare(name=str(number)) for number in range(3000)])
        expire_locks(cache)
        Bare.objects.get(row.pk)
        return Bare.objects.order_by("pk")

    def changed_meanwhile(self, row, cache):
        elsewhere(lambda: Bare.objects.update(row.pk, size=1))
        expire_locks(cache)
        Bare.objects.get(row.pk)

    def test_an_iterator(self, rows, row, cache):
        under_way = rows.iterator(chunk_size=10)
        next(under_way)
        self.changed_meanwhile(row, cache)
        under_way.close()
        assert Bare.objects.get(row.pk).size == 1

    def test_a_raw_queryset(self, rows, row, cache):
        under_way = Bare.objects.raw("SELECT * FROM testapp_bare").iterator()
        next(under_way)
        self.changed_meanwhile(row, cache)
        under_way.close()
        assert Bare.objects.get(row.pk).size == 1

    def test_a_cursor(self, rows, row, cache):
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM testapp_bare")
            cursor.fetchone()
            self.changed_meanwhile(row, cache)
        assert Bare.objects.get(row.pk).size == 1


# Other tables of the same name.


@pytest.fixture
def schema(row):
    execute("CREATE SCHEMA branch", "CREATE TABLE branch.testapp_bare AS SELECT id, name, 77 AS size FROM testapp_bare")
    yield "branch"
    connection.close()
    execute("DROP SCHEMA branch CASCADE")


@postgres
@pytest.mark.parametrize("choose", ["SET search_path TO branch", "SELECT set_config('search_path', 'branch', false)"])
def test_another_schema_chosen_by_sql(choose, row, schema):
    execute(choose)
    with asked(bypassed=1):
        assert Bare.objects.get(row.pk).size == 77
    elsewhere(lambda: Bare.objects.get(row.pk))


@postgres
def test_constraints_that_are_deferred_are_no_other_place(row):
    execute("SET CONSTRAINTS ALL DEFERRED")
    with asked(hit=1):
        Bare.objects.get(row.pk)


@postgres
@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_another_schema_of_an_alias(row, schema, cache):
    branch = {**connection.settings_dict, "OPTIONS": {"options": "-c statement_timeout=60s -c search_path=branch"}}
    with databases({"other": branch}):
        expire_locks(cache)
        for _ in range(2):
            assert Bare.objects.get(row.pk, using="other").size == 77
            assert Bare.objects.get(row.pk).size == 0


class Replicas:
    def db_for_read(self, model, **hints):
        return "other"

    def db_for_write(self, model, **hints):
        return "default"


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_a_replica_is_read_past_the_cache(row):
    Category.objects.db_manager("other").count()
    with override_settings(DATABASE_ROUTERS=[f"{__name__}.Replicas"]), asked(bypassed=1):
        assert Bare.objects.get_or_none(row.pk) is None


# The identity map.


class TestIdentityMap:
    def test_one_object_as_long_as_somebody_holds_it(self, row):
        with identity_map():
            one = Bare.objects.get(row.pk)
            with assert_queries(0), asked():
                assert Bare.objects.get(row.pk) is one
            assert Bare.objects.get(row.pk, fresh=True) is not one
        assert Bare.objects.get(row.pk) is not one

    def test_any_write_empties_it(self, row):
        with identity_map():
            one = Bare.objects.get(row.pk)
            Tag.objects.add(Tag(label="t"))
            assert Bare.objects.get(row.pk) is not one

    def test_another_thread_has_objects_of_its_own(self, row):
        with identity_map():
            one, found = Bare.objects.get(row.pk), []
            context = contextvars.copy_context()
            elsewhere(lambda: found.append(context.run(Bare.objects.get, row.pk)))
            assert found[0] is not one
            assert Bare.objects.get(row.pk) is one

    def test_what_was_rolled_back_is_not_there(self, row):
        with identity_map():
            with transaction.atomic():
                Bare.objects.update(row.pk, size=1)
                uncommitted = Bare.objects.get(row.pk)
                transaction.set_rollback(True)
            assert uncommitted.size == 1
            assert Bare.objects.get(row.pk).size == 0

    def test_what_was_rolled_back_without_autocommit_is_not_there(self, row):
        with identity_map():
            transaction.set_autocommit(False)
            try:
                Bare.objects.update(row.pk, size=1)
                uncommitted = Bare.objects.get(row.pk)
                transaction.rollback()
            finally:
                transaction.set_autocommit(True)
            assert uncommitted.size == 1
            assert Bare.objects.get(row.pk).size == 0
