"""What a string of SQL may have made permanent, also when it fails."""

import pytest

from django_enterprise_repo.resilience.statements import commits_implicitly, may_commit, statement_kind


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


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("SELECT 1", "read"),
        ("  -- why\n/* not */ (select 1) UNION (select 2)", "read"),
        ("SELECT * FROM a FOR NO KEY UPDATE", "read"),
        ("SELECT * FROM a FOR UPDATE SKIP LOCKED", "read"),
        ("SELECT replace(name, 'a', 'b') FROM a", "read"),
        ("SELECT * INTO b FROM a", "write"),
        ("WITH a AS (SELECT 1) SELECT * FROM a", "read"),
        ("WITH a AS (DELETE FROM b RETURNING *) SELECT * FROM a", "write"),
        ("EXPLAIN SELECT 1", "read"),
        ("EXPLAIN ANALYZE DELETE FROM a", "write"),
        ("SELECT 1; DELETE FROM a", "write"),
        ("SELECT 1;", "read"),
        ("INSERT INTO a VALUES (1)", "write"),
        ("CALL work()", "write"),
        ("COPY a FROM STDIN", "write"),
        ("", "write"),
        (b"UPDATE a SET b = 1", "write"),
        (b"SELECT 1", "read"),
        (object(), "write"),
        ("BEGIN IMMEDIATE", "begin"),
        ("START TRANSACTION", "begin"),
        ("COMMIT", "commit"),
        ("END;", "commit"),
        ("ROLLBACK", "rollback"),
        ("ROLLBACK TO SAVEPOINT a", "savepoint"),
        ("SAVEPOINT a", "savepoint"),
        ("SET autocommit = 0", "session"),
        ("SET a = 1; DELETE FROM a", "write"),
    ],
)
def test_kinds(sql, kind):
    assert statement_kind(sql) == kind


@pytest.mark.parametrize("sql", ["CREATE TABLE a (b int)", "/* */ truncate a", "CALL work()"])
def test_mysql_commits_before_these(sql):
    assert commits_implicitly(sql)


@pytest.mark.parametrize("sql", ["SELECT 1", "INSERT INTO a VALUES (1)", ""])
def test_mysql_does_not_commit_before_these(sql):
    assert not commits_implicitly(sql)
