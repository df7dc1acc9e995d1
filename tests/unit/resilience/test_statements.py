"""What a string of SQL may have made permanent, also when it fails."""

import pytest

from django_enterprise_repo.resilience.statements import may_commit


@pytest.mark.parametrize(
    "sql",
    [
        "COMMIT",
        "commit and chain",
        "  -- a note\n /* and\n another */ COMMIT WORK",
        "END",
        "PREPARE TRANSACTION 'a'",
        "INSERT INTO t VALUES (1); COMMIT; SELECT 1",
        b"INSERT INTO t VALUES (1);commit",
        "INSERT INTO t VALUES ('; COMMIT')",  # it cannot be told without a parser, and costs a repetition only
    ],
)
def test_there_is_a_commit(sql):
    assert may_commit(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO commit VALUES (1)",
        "INSERT INTO t VALUES ('COMMIT')",
        "ROLLBACK",
        "RELEASE SAVEPOINT a",
        "SELECT 1; SELECT 2",
        "DO $$ BEGIN IF true THEN NULL; END IF; NULL; END $$",
        "SELECT ending FROM t; ENDS",
    ],
)
def test_there_is_none(sql):
    assert not may_commit(sql)
