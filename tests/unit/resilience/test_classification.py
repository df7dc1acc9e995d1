"""What errors mean, told with exceptions shaped like those of the drivers."""

from __future__ import annotations

import asyncio

import django.db
import pytest
from django.core.exceptions import FieldError, ValidationError
from django.db import (
    DatabaseError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
    models,
)
from django.db.transaction import TransactionManagementError

from django_enterprise_repo.exceptions import (
    CircuitOpenError,
    CommitOutcomeUnknown,
    Deadlock,
    InvalidFilter,
    StaleObjectError,
)
from django_enterprise_repo.resilience import codes
from django_enterprise_repo.resilience.classification import KINDS, classify, first_cause
from tests.testapp.models import Bare

# PEP 249, as any driver has it.
Error = type("Error", (Exception,), {})
DriverError = type("DatabaseError", (Error,), {})
Operational = type("OperationalError", (DriverError,), {"sqlstate": None})
Interface = type("InterfaceError", (Error,), {})
Internal = type("InternalError", (DriverError,), {})
Programming = type("ProgrammingError", (DriverError,), {})
PoolTimeout = type("PoolTimeout", (Operational,), {})

PHASES = ("connect", "statement", "fetch", "commit", "rollback")


def driven(*args, kind=Operational, **attributes):
    """A driver's error."""
    error = kind(*args)
    vars(error).update(attributes)
    return error


def wrapped(driver):
    """Django's error for a driver's."""
    name = next(cls.__name__ for cls in type(driver).__mro__ if hasattr(django.db, cls.__name__))
    try:
        raise getattr(django.db, name)(*driver.args) from driver
    except django.db.Error as error:
        return error


def postgres(code):
    return driven("text", sqlstate=code)


def mysql(number, text=""):
    return driven(number, text)


def sqlite(name):
    return driven("text", sqlite_errorname=name)


@pytest.mark.parametrize(
    ("error", "kind", "vote", "fate", "transient", "drop"),
    [
        (postgres("08006"), "connection", "failure", "unknown", True, True),
        (postgres("08001"), "connection", "failure", "not_applied", True, True),
        (postgres("08007"), "commit_unknown", "failure", "unknown", False, True),
        (postgres("0A000"), "caller", "void", "not_applied", False, False),
        (postgres("22003"), "invalid_data", "void", "not_applied", False, False),
        (postgres("23502"), "not_null", "success", "not_applied", False, False),
        (postgres("23P01"), "duplicate_key", "success", "not_applied", False, False),
        (postgres("25006"), "read_only", "failure", "not_applied", True, True),
        (postgres("25P02"), "caller", "void", "not_applied", False, False),
        (postgres("25P04"), "timeout", "success", "not_applied", True, True),
        (postgres("28P01"), "authentication", "failure", "not_applied", False, True),
        (postgres("3D000"), "configuration", "failure", "not_applied", False, True),
        (postgres("40001"), "serialization", "success", "not_applied", True, False),
        (postgres("40002"), "caller", "void", "not_applied", False, False),
        (postgres("40003"), "commit_unknown", "failure", "unknown", False, True),
        (postgres("42P01"), "caller", "void", "not_applied", False, False),
        (postgres("53100"), "storage", "void", "not_applied", False, False),
        (postgres("53300"), "resources", "failure", "not_applied", True, False),
        (postgres("55P03"), "lock_timeout", "success", "not_applied", True, False),
        (postgres("57014"), "timeout", "slow", "not_applied", False, False),
        (postgres("57P01"), "shutdown", "failure", "not_applied", True, True),
        (postgres("57P02"), "shutdown", "failure", "unknown", True, True),
        (postgres("57P05"), "shutdown", "success", "not_applied", True, True),
        (postgres("58030"), "storage", "failure", "not_applied", False, False),
        (postgres("XX000"), "other", "void", "not_applied", False, False),
        (driven("text", pgcode="40P01"), "deadlock", "success", "not_applied", True, False),
        (mysql(0), "connection", "void", "not_applied", True, True),
        (mysql(1020), "serialization", "success", "not_applied", True, False),
        (mysql(1040), "resources", "failure", "not_applied", True, False),
        (mysql(1053), "shutdown", "failure", "not_applied", True, True),
        (mysql(1054), "caller", "void", "not_applied", False, False),
        (mysql(1062), "duplicate_key", "success", "not_applied", False, False),
        (mysql(1205), "lock_timeout", "success", "not_applied", True, False),
        (mysql(1213), "deadlock", "success", "not_applied", True, False),
        (mysql(1290), "read_only", "failure", "not_applied", True, True),
        (mysql(2006), "connection", "void", "not_applied", True, True),
        (mysql(2013), "connection", "failure", "unknown", True, True),
        (mysql(9999), "other", "void", "not_applied", False, False),
        (sqlite("SQLITE_BUSY"), "lock_timeout", "success", "not_applied", True, False),
        (sqlite("SQLITE_BUSY_SNAPSHOT"), "serialization", "success", "not_applied", True, False),
        (sqlite("SQLITE_LOCKED_SHAREDCACHE"), "lock_timeout", "success", "not_applied", True, False),
        (sqlite("SQLITE_IOERR_FSYNC"), "storage", "failure", "unknown", False, True),
        (sqlite("SQLITE_FULL"), "storage", "void", "not_applied", False, False),
        (sqlite("SQLITE_CONSTRAINT_UNIQUE"), "duplicate_key", "success", "not_applied", False, False),
        (sqlite("SQLITE_CONSTRAINT_TRIGGER"), "caller", "void", "not_applied", False, False),
        (sqlite("unknown"), "other", "void", "not_applied", False, False),
        (driven("server closed the connection"), "connection", "failure", "unknown", True, True),
        (driven("", kind=DriverError), "connection", "failure", "unknown", True, True),
        (driven("the connection is closed"), "connection", "void", "not_applied", True, True),
        (driven("the cursor is closed", kind=Interface), "caller", "void", "not_applied", False, False),
        (driven("wrong", kind=Programming), "caller", "void", "not_applied", False, False),
        (driven("late", kind=PoolTimeout), "pool", "void", "not_applied", True, False),
    ],
)
def test_a_code_or_a_text_of_a_driver(error, kind, vote, fate, transient, drop):
    for seen in (error, wrapped(error)):
        verdict = classify(seen)
        assert verdict[:5] == (kind, vote, fate, transient, drop)
        assert verdict.code in (None, "text", *map(str, (*vars(error).values(), *error.args)))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (Bare.DoesNotExist(), "caller"),
        (Bare.MultipleObjectsReturned(), "caller"),
        (ValidationError("x"), "caller"),
        (FieldError("x"), "caller"),
        (ValueError("x"), "caller"),
        (OverflowError("x"), "caller"),
        (InvalidFilter([]), "caller"),
        (TransactionManagementError("x"), "caller"),
        (DatabaseError("Forced update did not affect any rows."), "caller"),
        (models.ProtectedError("x", set()), "caller"),
        (IntegrityError("x"), "caller"),
        (StaleObjectError(Bare, 1, expected=1, actual=2), "stale"),
    ],
)
@pytest.mark.parametrize("phase", PHASES[1:])
def test_a_mistake_votes_for_nothing_in_any_phase(error, kind, phase):
    assert classify(error, phase) == (kind, "void", "not_applied", False, False, None)


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), SystemExit(), GeneratorExit(), asyncio.CancelledError(), TimeoutError()]
)
@pytest.mark.parametrize("phase", PHASES)
def test_an_interruption_leaves_nothing_known(error, phase):
    assert classify(error, phase) == ("cancelled", "void", "unknown", False, True, None)


def test_what_is_no_databases_error_is_not_taken_for_one():
    assert classify(RuntimeError("x")) == ("other", "void", "unknown", False, False, None)


@pytest.mark.parametrize("error", [OperationalError("gone"), InterfaceError("connection already closed")])
def test_an_error_of_django_without_a_driver(error):
    assert classify(error).kind == "connection"


def test_an_error_that_was_translated_already_keeps_its_words():
    assert classify(Deadlock(code="1213")) == ("deadlock", "success", "not_applied", True, False, "1213")
    assert classify(Deadlock(retryable=False)).transient is False
    assert classify(CommitOutcomeUnknown()) == ("commit_unknown", "failure", "unknown", False, True, None)
    assert classify(CircuitOpenError(retry_after=1.0)) == ("circuit_open", "void", "not_applied", True, False, None)


@pytest.mark.parametrize("code", [*codes.POSTGRES, "99999"])
def test_only_what_the_server_refused_is_known_not_to_be_committed(code):
    verdict, at_commit = classify(postgres(code)), classify(postgres(code), "commit")

    if verdict.drop or verdict.fate == "unknown":
        assert at_commit[:5] == ("commit_unknown", verdict.vote, "unknown", False, True)
    else:
        assert at_commit == verdict


@pytest.mark.parametrize("error", [mysql(2006), mysql(2013), mysql(1180), sqlite("SQLITE_IOERR"), driven("gone")])
def test_a_commit_that_got_no_answer(error):
    assert classify(error, "commit")[0] == "commit_unknown"
    assert classify(error, "commit").fate == "unknown"


@pytest.mark.parametrize("error", [postgres("08006"), postgres("57P02"), mysql(2013), driven("gone")])
def test_a_lost_rollback_is_a_rollback(error):
    assert classify(error, "rollback").fate == "not_applied"


@pytest.mark.parametrize(
    "error",
    [postgres(code) for code in codes.POSTGRES]
    + [mysql(number) for number in codes.MYSQL]
    + [sqlite(name) for name in codes.SQLITE]
    + [driven("refused"), driven("x", kind=Internal), mysql(9999), postgres("99999")],
)
def test_nothing_is_applied_before_there_is_a_connection(error):
    verdict = classify(error, "connect")

    assert verdict.fate == "not_applied"
    assert verdict.drop
    assert verdict.kind not in ("caller", "other", "commit_unknown", "session_lost")


ATTEMPT = 'connection to server at "h", port 1 failed: '


@pytest.mark.parametrize(
    ("text", "kind", "code"),
    [
        ('FATAL:  password authentication failed for user "u"', "authentication", "28P01"),
        ('FATAL:  role "u" does not exist', "authentication", "28000"),
        ('FATAL:  role "u" is not permitted to log in', "authentication", "28000"),
        ('FATAL:  no pg_hba.conf entry for host "h", user "u"', "authentication", "28000"),
        ('FATAL:  database "d" does not exist', "configuration", "3D000"),
        ('FATAL:  permission denied for database "d"', "configuration", "42501"),
        ('FATAL:  unrecognized configuration parameter "p"', "configuration", "42704"),
        ("FATAL:  sorry, too many clients already", "resources", "53300"),
        ("FATAL:  remaining connection slots are reserved for roles with SUPERUSER", "resources", "53300"),
        ("FATAL:  the database system is starting up", "shutdown", "57P03"),
        ("FATAL:  Passwort-Authentifizierung für Benutzer »u« fehlgeschlagen", "connection", None),
        ("Connection refused", "connection", None),
    ],
)
def test_what_postgresql_says_at_the_door(text, kind, code):
    verdict = classify(wrapped(driven(f"connection failed: {ATTEMPT}{text}")), "connect")

    assert (verdict.kind, verdict.code) == (kind, code)


def test_two_tries_of_one_connection_have_to_agree():
    refused = f'{ATTEMPT}FATAL:  database "d" does not exist'

    assert classify(driven(f"{refused}\n{refused}"), "connect").kind == "configuration"
    assert classify(driven(f"{refused}\n{ATTEMPT}Connection refused"), "connect").kind == "connection"


def test_a_password_that_was_not_given():
    error = driven("?", pgconn=type("PGconn", (), {"needs_password": True})())

    assert classify(error, "connect") == ("authentication", "failure", "not_applied", False, True, "28P01")


def test_an_option_that_the_driver_does_not_know():
    assert classify(ProgrammingError("invalid connection option"), "connect").kind == "configuration"


def test_the_tables_use_the_closed_set_of_kinds():
    used = {meaning.kind for table in (codes.POSTGRES, codes.MYSQL, codes.SQLITE) for meaning in table.values()}

    assert used < KINDS
    assert KINDS - used == {"stale", "pool", "circuit_open", "cancelled", "other"}
    assert all(
        meaning.fate == "not_applied" or not meaning.transient or meaning.drop for meaning in codes.BY_KIND.values()
    )


def test_errors_that_go_round_in_circles():
    one, two = InternalError("x"), OperationalError("y")
    one.__cause__, two.__cause__ = two, one

    assert classify(one).kind in KINDS
    assert first_cause(one) is one
