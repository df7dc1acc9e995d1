"""The table of docs/explanation/coverage.md says what happens when it is provoked."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.db import connection

from django_enterprise_repo.exceptions import CircuitOpenError
from django_enterprise_repo.resilience.breakers import breaker
from django_enterprise_repo.resilience.guards import guard_of
from tests.db.resilience import coverage
from tests.db.resilience.access_paths import PATHS


def row_id(path):
    return f"{path.group}: {path.title}"


@pytest.fixture(scope="module")
def published():
    return coverage.expected_rows()


@pytest.fixture(scope="module")
def laboratory(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        if connection.vendor != "postgresql":
            pytest.skip("the table tells of PostgreSQL; REPO_DATABASE=postgres measures it")
        with coverage.laboratory() as laboratory:
            yield laboratory
        call_command("flush", verbosity=0, interactive=False)


@pytest.mark.parametrize("path", PATHS, ids=row_id)
def test_what_the_table_says_is_so(laboratory, published, path):
    told = published[path.group, path.title]

    assert laboratory.row(path, told) == told


def test_the_table_has_every_access_path_and_no_other(published):
    assert list(published) == [(path.group, path.title) for path in PATHS]


@pytest.mark.django_db(transaction=True)
def test_what_is_refused_is_so_on_every_database(published):
    engine = 0 if guard_of(connection).sees_everything else -1
    told, found = {}, {}
    for path in PATHS:
        if connection.vendor in path.vendors:
            told[row_id(path)] = published[path.group, path.title].split("|")[2].strip().split(" / ")[engine]
            found[row_id(path)] = coverage.YES if is_refused(path) else coverage.NO

    assert found == told


def is_refused(path):
    try:
        path.act(breaker("default").isolate)
    except CircuitOpenError:
        return True
    finally:
        breaker("default").release()
    return False
