"""What live servers and files answer when something goes wrong, and what the package makes of it."""

from __future__ import annotations

import os
import socket
import threading

import pytest
from django.db import Error, InterfaceError, OperationalError, connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import load_backend

from django_enterprise_repo.exceptions import CommitOutcomeUnknown, RepositoryDatabaseError
from django_enterprise_repo.resilience.classification import Verdict, classify, first_cause
from django_enterprise_repo.resilience.translation import translate

pytestmark = pytest.mark.django_db(transaction=True)

NOWHERE = "enterprise_repo_nowhere"


@pytest.fixture
def connect(vendor, tmp_path):
    """Connections of their own, which tests may break; on SQLite to a file that all of them share.

    Through Django's own engines: what they answer is classified here, the package's hide nothing to begin with.
    """
    opened: list[BaseDatabaseWrapper] = []
    engine = connection.settings_dict["ENGINE"].replace("django_enterprise_repo.db", "django.db")

    def new(**settings) -> BaseDatabaseWrapper:
        if vendor == "sqlite":
            settings = {"NAME": str(tmp_path / "rows.sqlite3"), "OPTIONS": {"timeout": 0.05}, **settings}
        fresh = load_backend(engine).DatabaseWrapper({**connection.settings_dict, **settings}, "broken")
        fresh.inc_thread_sharing()
        opened.append(fresh)
        return fresh

    yield new
    for one in opened:
        one.close()
    if vendor != "sqlite":
        sql(connection, "DROP TABLE IF EXISTS classified")


@pytest.fixture
def rows(connect):
    """A connection with a table of two rows."""
    one = connect()
    sql(one, "CREATE TABLE classified (id integer PRIMARY KEY, n integer)")
    sql(one, "INSERT INTO classified VALUES (1, 0), (2, 0)")
    return one


def sql(on: BaseDatabaseWrapper, text: str, params=None):
    with on.cursor() as cursor:
        cursor.execute(text, params)
        return cursor.fetchall() if cursor.description else None


def verdict(call, phase="statement") -> Verdict:
    with pytest.raises(Error) as caught:
        call()
    found = classify(caught.value, phase)
    better = translate(caught.value, found, model=None, alias="broken")
    assert isinstance(better, type(caught.value))
    if isinstance(better, RepositoryDatabaseError):
        assert (better.kind, better.fate, better.code) == (found.kind, found.fate, found.code)
    return found


def terminate(victim: BaseDatabaseWrapper, by: BaseDatabaseWrapper) -> None:
    if victim.vendor == "postgresql":
        pid = victim.connection.info.backend_pid
        sql(by, "SELECT pg_terminate_backend(%s, 5000)", [pid])
    else:
        number = victim.connection.thread_id()
        sql(by, f"KILL {number}")
        while sql(by, "SELECT 1 FROM information_schema.processlist WHERE id = %s", [number]):
            pass


def fail() -> None:
    raise InterfaceError("handled")


def only(vendor: str, *vendors: str) -> None:
    if vendor not in vendors:
        pytest.skip(f"{vendor} has no such thing.")


def test_nobody_is_there(connect, vendor):
    away = connect(NAME="/nowhere/at/all") if vendor == "sqlite" else connect(PORT="1")

    found = verdict(away.ensure_connection, "connect")

    assert found[:5] == ("connection", "failure", "not_applied", True, True)


def test_a_database_that_does_not_exist(connect, vendor):
    only(vendor, "postgres", "mariadb")
    found = verdict(connect(NAME=NOWHERE).ensure_connection, "connect")

    assert found == (
        "configuration",
        "failure",
        "not_applied",
        False,
        True,
        {"postgres": "3D000", "mariadb": "1049"}[vendor],
    )


def test_a_user_who_may_not_come_in(connect, vendor):
    only(vendor, "postgres", "mariadb")
    found = verdict(connect(USER=NOWHERE, PASSWORD="wrong").ensure_connection, "connect")

    assert found[:5] == ("authentication", "failure", "not_applied", False, True)


def test_settings_that_the_driver_does_not_know(connect, vendor):
    only(vendor, "postgres")
    found = verdict(connect(OPTIONS={"nonsense": "1"}).ensure_connection, "connect")

    assert found == ("configuration", "failure", "not_applied", False, True, None)


def test_a_pool_with_nothing_left(connect, vendor):
    only(vendor, "postgres")
    options = {"pool": {"min_size": 1, "max_size": 1, "timeout": 0.1}}
    first, second = connect(OPTIONS=options), connect(OPTIONS=options)
    try:
        first.ensure_connection()
        found = verdict(second.ensure_connection, "connect")
    finally:
        first.close()
        first.close_pool()

    assert found == ("pool", "void", "not_applied", True, False, None)


def test_a_handle_that_was_closed(connect):
    one = connect()
    one.ensure_connection()
    one.connection.close()

    found = verdict(lambda: sql(one, "SELECT 1"))
    while_committing = verdict(lambda: sql(one, "SELECT 1"), "commit")
    one.connection = None  # mysqlclient does not close twice

    assert found[:5] == ("connection", "void", "not_applied", True, True)
    assert while_committing[:5] == ("commit_unknown", "void", "unknown", False, True)


def test_a_session_that_was_ended_while_idle(connect, vendor):
    only(vendor, "postgres", "mariadb")
    one, two = connect(), connect()
    one.ensure_connection()
    terminate(one, by=two)

    found = verdict(lambda: sql(one, "SELECT 1"))
    again = verdict(lambda: sql(one, "SELECT 1"))

    if vendor == "postgres":  # the server had said so before it went
        assert found == ("shutdown", "failure", "not_applied", True, True, "57P01")
    else:
        assert found == ("connection", "failure", "unknown", True, True, "2013")
    assert again[:5] == ("connection", "void", "not_applied", True, True)


def test_a_session_that_was_ended_before_commit(rows, connect, vendor):
    only(vendor, "postgres", "mariadb")
    one, two = connect(), connect()
    one.set_autocommit(False)
    sql(one, "UPDATE classified SET n = 7")
    terminate(one, by=two)

    found = verdict(one.commit, "commit")

    assert found[:5] == ("commit_unknown", "failure", "unknown", False, True)
    assert list(sql(rows, "SELECT n FROM classified WHERE id = 1")) == [(0,)]


def test_a_line_that_was_cut(connect, vendor):
    only(vendor, "postgres")
    one = connect()
    one.ensure_connection()
    with socket.socket(fileno=os.dup(one.connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)

    assert verdict(lambda: sql(one, "SELECT 1")) == ("connection", "failure", "unknown", True, True, None)


def test_a_lock_that_is_not_given(rows, connect, vendor):
    waiting = connect()
    wait = {"postgres": "SET lock_timeout = 50", "mariadb": "SET innodb_lock_wait_timeout = 1", "sqlite": "SELECT 1"}
    sql(waiting, wait[vendor])
    sql(rows, "BEGIN IMMEDIATE" if vendor == "sqlite" else "BEGIN")
    sql(rows, "UPDATE classified SET n = 1 WHERE id = 1")

    found = verdict(lambda: sql(waiting, "UPDATE classified SET n = 2 WHERE id = 1"))
    sql(rows, "ROLLBACK")

    code = {"postgres": "55P03", "mariadb": "1205", "sqlite": "SQLITE_BUSY"}[vendor]
    assert found == ("lock_timeout", "success", "not_applied", True, False, code)


def test_two_transactions_that_wait_for_each_other(rows, connect, vendor):
    only(vendor, "postgres", "mariadb")
    both_hold_one = threading.Barrier(2, timeout=20)
    errors: list[Exception] = []

    def take(first: int, second: int) -> None:
        mine = connect()
        try:
            sql(mine, "BEGIN")
            sql(mine, "UPDATE classified SET n = n + 1 WHERE id = %s", [first])
            both_hold_one.wait()
            sql(mine, "UPDATE classified SET n = n + 1 WHERE id = %s", [second])
            sql(mine, "COMMIT")
        except Error as error:
            errors.append(error)
        finally:
            mine.close()

    threads = [threading.Thread(target=take, args=order) for order in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)

    (error,) = errors
    code = {"postgres": "40P01", "mariadb": "1213"}[vendor]
    assert classify(error) == ("deadlock", "success", "not_applied", True, False, code)


def test_a_snapshot_that_is_too_old(rows, connect, vendor):
    one = connect()
    begin = {
        "postgres": ["BEGIN ISOLATION LEVEL REPEATABLE READ"],
        "mariadb": [
            "SET innodb_snapshot_isolation = ON",
            "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            "BEGIN",
        ],
        "sqlite": ["PRAGMA journal_mode = wal", "BEGIN"],
    }
    for statement in begin[vendor]:
        sql(one, statement)
    sql(one, "SELECT n FROM classified")
    sql(rows, "UPDATE classified SET n = 5 WHERE id = 1")

    found = verdict(lambda: sql(one, "UPDATE classified SET n = 6 WHERE id = 1"))

    code = {"postgres": "40001", "mariadb": "1020", "sqlite": "SQLITE_BUSY_SNAPSHOT"}[vendor]
    assert found == ("serialization", "success", "not_applied", True, False, code)


def test_a_statement_that_takes_too_long(connect, vendor):
    one = connect()
    if vendor == "postgres":
        sql(one, "SET statement_timeout = 50")
        found = verdict(lambda: sql(one, "SELECT pg_sleep(20)"))
    elif vendor == "mariadb":
        sql(one, "SET max_statement_time = 0.05")
        found = verdict(lambda: sql(one, "SELECT SLEEP(20)"))
    else:
        one.ensure_connection()
        one.connection.set_progress_handler(lambda: 1, 1)
        found = verdict(lambda: sql(one, "SELECT 1 UNION SELECT 2"))

    code = {"postgres": "57014", "mariadb": "1969", "sqlite": "SQLITE_INTERRUPT"}[vendor]
    assert found == ("timeout", "slow", "not_applied", False, False, code)


def test_a_transaction_that_was_idle_for_too_long(connect, vendor):
    only(vendor, "postgres")
    one, two = connect(), connect()
    sql(one, "SET idle_in_transaction_session_timeout = 1")
    pid = one.connection.info.backend_pid
    sql(one, "BEGIN")
    while sql(two, "SELECT 1 FROM pg_stat_activity WHERE pid = %s", [pid]):
        pass

    assert verdict(lambda: sql(one, "SELECT 1")) == ("timeout", "success", "not_applied", True, True, "25P03")


def test_what_may_only_be_read(rows, vendor):
    begin = {
        "postgres": "BEGIN READ ONLY",
        "mariadb": "START TRANSACTION READ ONLY",
        "sqlite": "PRAGMA query_only = 1",
    }
    sql(rows, begin[vendor])
    found = verdict(lambda: sql(rows, "UPDATE classified SET n = 1"))

    expected = {
        "postgres": ("read_only", "failure", "not_applied", True, True, "25006"),
        "mariadb": ("read_only", "void", "not_applied", False, False, "1792"),
        "sqlite": ("read_only", "void", "not_applied", False, False, "SQLITE_READONLY"),
    }
    assert found == expected[vendor]


def test_a_full_file(rows, vendor):
    only(vendor, "sqlite")
    sql(rows, "PRAGMA max_page_count = 2")

    found = verdict(lambda: sql(rows, "CREATE TABLE more AS SELECT * FROM classified"))

    assert found == ("storage", "void", "not_applied", False, False, "SQLITE_FULL")


@pytest.mark.parametrize(("statement", "code"), [("EXECUTE nothing", "26000"), ("FETCH FROM nothing", "34000")])
def test_what_the_session_should_know_and_does_not(connect, vendor, statement, code):
    only(vendor, "postgres")
    one = connect()
    sql(one, "SELECT 1")
    with pytest.raises(Error) as caught, one.wrap_database_errors:
        one.connection.execute(statement)

    assert classify(caught.value) == ("session_lost", "success", "not_applied", True, True, code)


def test_a_cursor_that_was_closed_says_nothing_about_the_connection(connect, vendor):
    one = connect()
    cursor = one.cursor()
    cursor.execute("SELECT 1")
    cursor.close()

    assert verdict(lambda: cursor.execute("SELECT 1"))[:5] == ("caller", "void", "not_applied", False, False)


@pytest.fixture
def broken(connect, vendor, monkeypatch):
    """An alias whose database goes away, and how to make it go."""
    only(vendor, "postgres", "mariadb")
    one, other = connect(), connect()
    monkeypatch.setattr(connections._connections, "broken", one, raising=False)

    def away() -> None:
        terminate(one, by=other)
        one.settings_dict = {**one.settings_dict, "PORT": "1"}

    one.ensure_connection()
    return away


def test_what_broke_a_transaction_is_found_behind_the_failed_reconnect(broken):
    with pytest.raises(OperationalError) as caught, transaction.atomic(using="broken"):
        broken()
        sql(connections["broken"], "SELECT 1")

    first = first_cause(caught.value)

    assert first is not caught.value
    assert classify(caught.value, "connect").fate == "not_applied"
    assert classify(first).code in ("57P01", "2013")
    assert first_cause(first) is first


def test_a_lost_commit_is_found_behind_the_failed_reconnect(broken):
    with pytest.raises(OperationalError) as caught, transaction.atomic(using="broken"):
        sql(connections["broken"], "SELECT 1")
        broken()

    first = first_cause(caught.value)
    better = translate(first, classify(first, "commit"), model=None, alias="broken")

    assert first is not caught.value
    assert isinstance(better, CommitOutcomeUnknown)
    assert (better.fate, better.retryable) == ("unknown", False)


def test_a_handled_error_is_not_taken_for_the_cause(broken):
    """As in ``get_or_create``, whose second read runs while its IntegrityError is being handled."""
    with pytest.raises(OperationalError) as caught:
        try:
            fail()
        except InterfaceError:
            with transaction.atomic(using="broken"):
                broken()
                sql(connections["broken"], "SELECT 1")

    assert classify(first_cause(caught.value)).code in ("57P01", "2013")


def test_an_error_that_hides_none_is_its_own_cause(connect):
    with pytest.raises(Error) as caught:
        try:
            fail()
        except InterfaceError:
            sql(connect(), "SELECT nothing FROM nowhere")

    assert first_cause(caught.value) is caught.value
