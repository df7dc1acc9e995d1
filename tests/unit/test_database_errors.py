"""The errors of databases as objects: their types, what they say, what survives copying."""

from __future__ import annotations

import copy
import pickle

import django.db
import pytest
from django.db import DatabaseError, IntegrityError, InterfaceError, InternalError, OperationalError, ProgrammingError

from django_enterprise_repo import exceptions
from django_enterprise_repo.exceptions import (
    CircuitOpenError,
    CommitOutcomeUnknown,
    InvalidDataError,
    RepositoryDatabaseError,
    RepositoryError,
    RepositoryUnavailable,
    StaleObjectError,
)
from django_enterprise_repo.exceptions.database import that_is_also
from django_enterprise_repo.resilience.classification import KINDS, classify
from django_enterprise_repo.resilience.translation import translate
from tests.testapp.models import Bare

ALL = sorted(
    (
        each
        for each in vars(exceptions).values()
        if isinstance(each, type) and issubclass(each, RepositoryDatabaseError)
    ),
    key=lambda each: each.__name__,
)
DJANGO = (IntegrityError, InternalError, InterfaceError, OperationalError, ProgrammingError)


def made(kind):
    told = {
        "model": "testapp.Bare",
        "alias": "default",
        "code": "1",
        "constraint": "c",
        "fields": ("a", "b"),
        "fate": "unknown",
    }
    return kind(retry_after=1.5, **told) if issubclass(kind, CircuitOpenError) else kind(**told)


@pytest.mark.parametrize("also", [None, *DJANGO])
@pytest.mark.parametrize("kind", ALL)
def test_a_copy_is_the_same_error(kind, also):
    error = made(kind if also is None else that_is_also(kind, also))

    for copied in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(copied) is type(error)
        assert (vars(copied), copied.args, str(copied)) == (vars(error), error.args, str(error))
        assert isinstance(copied, (RepositoryError, kind)) and (also is None or isinstance(copied, also))


@pytest.mark.parametrize("kind", ALL)
def test_each_has_a_kind_of_the_closed_set_and_is_a_database_error(kind):
    assert kind.kind in KINDS
    assert issubclass(kind, DatabaseError)
    assert classify(made(kind)).kind == kind.kind


def test_what_it_says():
    error = made(exceptions.DuplicateKeyError)

    assert str(error) == (
        "duplicate key; model testapp.Bare; database 'default'; code 1; constraint 'c'; fields a, b; "
        "it is not known whether it was applied"
    )
    assert error.args == (str(error),)
    assert str(exceptions.Deadlock()) == "deadlock"


def test_a_type_is_added_once_and_only_where_it_is_missing():
    assert that_is_also(RepositoryUnavailable, OperationalError) is RepositoryUnavailable
    assert that_is_also(RepositoryUnavailable, InternalError) is that_is_also(RepositoryUnavailable, InternalError)
    assert that_is_also(InvalidDataError, IntegrityError).__name__ == "InvalidDataError"


def django_error(name, *args, **attributes):
    driver = type(name, (type("Error", (Exception,), {}),), {})(*args)
    vars(driver).update(attributes)
    error = getattr(django.db, name)(*args)
    error.__cause__ = driver
    return error


@pytest.mark.parametrize(
    ("name", "args", "attributes", "kind", "phase"),
    [
        ("InternalError", ("read only",), {"sqlstate": "25006"}, RepositoryUnavailable, "statement"),
        ("ProgrammingError", ("no such",), {"sqlstate": "26000"}, RepositoryUnavailable, "statement"),
        ("InterfaceError", (0, ""), {}, RepositoryUnavailable, "statement"),
        ("InterfaceError", (0, ""), {}, CommitOutcomeUnknown, "commit"),
        ("InternalError", ("timeout",), {"sqlstate": "25P03"}, exceptions.QueryTimeout, "statement"),
        ("IntegrityError", (1690, "out of range"), {}, InvalidDataError, "statement"),
        ("OperationalError", (1364, "Field 'name' doesn't"), {}, exceptions.NotNullError, "statement"),
        ("OperationalError", (1213, "deadlock"), {}, exceptions.Deadlock, "statement"),
        ("DatabaseError", ("x",), {"sqlite_errorname": "SQLITE_CORRUPT"}, RepositoryUnavailable, "statement"),
    ],
)
def test_a_translated_error_keeps_djangos_type(name, args, attributes, kind, phase):
    error = django_error(name, *args, **attributes)
    verdict = classify(error, phase)

    for given in (error, error.__cause__):
        better = translate(given, verdict, model=Bare, alias="other")
        assert isinstance(better, kind) and isinstance(better, type(error))
        assert (better.kind, better.code, better.fate) == (verdict.kind, verdict.code, verdict.fate)
        assert (better.model, better.alias, better.retryable) == ("testapp.Bare", "other", verdict.transient)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        RuntimeError("x"),
        Bare.DoesNotExist(),
        django.db.NotSupportedError("x"),
        IntegrityError("x"),
        RepositoryUnavailable(),
        StaleObjectError(Bare, 1, expected=1, actual=2),
        django_error("ProgrammingError", "x", sqlstate="42P01"),
        django_error("InternalError", "x", sqlstate="XX000"),
    ],
)
def test_what_has_no_better_word_stays_as_it_is(error):
    assert translate(error, classify(error), model=Bare, alias=None) is error


def test_the_text_of_a_driver_does_not_get_in():
    error = django_error("IntegrityError", 1062, "Duplicate entry 'kanari' for key 'name'")
    better = translate(error, classify(error), model=Bare, alias="default")

    assert (better.constraint, better.fields) == ("name", ("name",))
    assert "kanari" not in repr(better) + repr(vars(better))
