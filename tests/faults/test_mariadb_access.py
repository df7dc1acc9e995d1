"""Scenarios 25 and 34 on MariaDB: a server that takes no writes any more, and doors that are locked for good."""

from __future__ import annotations

import pytest
from django.db import connections

from django_enterprise_repo.exceptions import RepositoryUnavailable
from django_enterprise_repo.policies import RetryPolicy
from django_enterprise_repo.resilience.breakers import breaker
from django_enterprise_repo.testing.operations import capture_operations
from tests.faults import django_env
from tests.faults.setups import ENGINES, guarded, write
from tests.testapp.models import Plain

pytestmark = pytest.mark.usefixtures("databases")


@pytest.fixture
def settings(mariadb, mariadb_database):
    """The settings of a database for a user who may do nothing else."""
    mariadb.execute("CREATE USER leaver@'127.0.0.1' IDENTIFIED BY 'old'")
    mariadb.execute(f"GRANT ALL ON {mariadb_database}.* TO leaver@'127.0.0.1'")
    settings = django_env.mariadb(mariadb_database, mariadb.port, engine=f"{ENGINES}.mysql")
    yield {**settings, "USER": "leaver", "PASSWORD": "old"}
    mariadb.execute("SET GLOBAL read_only = 0")
    mariadb.execute("DROP USER leaver@'127.0.0.1'")


@pytest.mark.scenario(25, databases=("mariadb",))
def test_a_server_that_turns_read_only_refuses_writes_after_every_attempt_and_answers_reads(mariadb, settings, history):
    with guarded(settings, retry=RetryPolicy(attempts=3, wait=0.01)) as alias:
        django_env.create_tables(alias, Plain)
        assert write(history, alias) is None
        mariadb.execute("SET GLOBAL read_only = 1")

        with capture_operations() as operations:
            refusal = write(history, alias)

        assert isinstance(refusal, RepositoryUnavailable)
        assert (refusal.kind, refusal.code, refusal.fate) == ("read_only", "1290", "not_applied")
        assert [operation.retried_for for operation in operations] == [("read_only", "read_only")]
        assert Plain.objects.using(alias).count() == 1

        mariadb.execute("SET GLOBAL read_only = 0")
        assert write(history, alias) is None
        assert breaker(alias).is_closed
        assert history.check(row.name for row in Plain.objects.list(using=alias)).holds


@pytest.mark.scenario(34, databases=("mariadb",))
@pytest.mark.parametrize(
    ("change", "kind", "code"),
    [
        ("ALTER USER leaver@'127.0.0.1' IDENTIFIED BY 'new'", "authentication", "1045"),
        ("DROP DATABASE {name}", "configuration", "1049"),
    ],
)
def test_who_is_not_let_in_any_more_is_told_so_once(mariadb, settings, change, kind, code):
    with guarded(settings) as alias:
        django_env.create_tables(alias, Plain)
        connections[alias].close()
        mariadb.execute(change.format(name=settings["NAME"]))
        # Who may see nothing of a database is not told that it is missing.
        mariadb.execute("GRANT ALL ON *.* TO leaver@'127.0.0.1'")

        with capture_operations() as operations, pytest.raises(RepositoryUnavailable) as refusal:
            Plain.objects.using(alias).count()

        assert (refusal.value.kind, refusal.value.code, refusal.value.retryable) == (kind, code, False)
        assert [operation.attempts for operation in operations] == [1]
        assert breaker(alias).fail_counter == 1
