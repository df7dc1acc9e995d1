"""What a piece of SQL does, as far as its first words tell.

Nobody parses SQL here: what is not known for sure to be a read counts as a write, which costs a little care and
never truth.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Literal

StatementKind = Literal["read", "write", "begin", "commit", "rollback", "savepoint", "session"]

_FIRST_WORD = re.compile(r"(?:\s|\(|--[^\n]*\n|/\*.*?\*/)*([A-Za-z]+)", re.DOTALL)
# "SELECT … INTO", a CTE that writes, "EXPLAIN ANALYZE DELETE", a second statement behind a semicolon.
_MAY_WRITE = re.compile(r"\b(?:INTO|INSERT|UPDATE|DELETE|MERGE|REPLACE|TRUNCATE)\b(?!\s*\()|;\s*\S", re.IGNORECASE)
# The locking clauses of a SELECT have an UPDATE in them that writes nothing.
_LOCKING = re.compile(r"\bFOR\s+(?:NO\s+KEY\s+)?UPDATE\b", re.IGNORECASE)

# COMMIT by each of its names, the first word or one behind a semicolon. What only looks like it, in a literal say,
# counts, too; the END of a block or a loop in a procedure does not.
_COMMIT = re.compile(
    r"(?:^|;)(?:\s|--[^\n]*\n|/\*.*?\*/)*(?:COMMIT|PREPARE\s+TRANSACTION|END(?!\s*(?:\$|LOOP|IF|CASE)))\b",
    re.IGNORECASE | re.DOTALL,
)

# A SELECT that does what SET does.
_SETS = re.compile(r"\bset_config\b", re.IGNORECASE)

_IMPLICIT = frozenset(
    {
        "ALTER",
        "ANALYZE",
        "CREATE",
        "DROP",
        "FLUSH",
        "GRANT",
        "INSTALL",
        "LOCK",
        "OPTIMIZE",
        "RENAME",
        "REPAIR",
        "REVOKE",
    }
    | {"TRUNCATE", "UNINSTALL", "UNLOCK", "CALL"}  # a procedure may commit
)

_READS = frozenset(
    {"SELECT", "SHOW", "VALUES", "TABLE", "WITH", "EXPLAIN", "DESCRIBE", "DESC", "FETCH", "DECLARE", "CLOSE"}
)
_OTHERS: dict[str, StatementKind] = {
    "BEGIN": "begin",
    "START": "begin",
    "COMMIT": "commit",
    "END": "commit",
    "ROLLBACK": "rollback",
    "ABORT": "rollback",
    "SAVEPOINT": "savepoint",
    "RELEASE": "savepoint",
    "SET": "session",
    "RESET": "session",
    "PRAGMA": "session",
    "USE": "session",
    "DISCARD": "session",
}


def statement_kind(sql: Any) -> StatementKind:
    """The kind of ``sql``, a string or whatever a driver takes for one."""
    text = text_of(sql)
    return _kind_of(text) if len(text) > _LONG else _known_kind(text)


#: Characters; longer statements hold their values, and are not sent again word for word.
_LONG = 4000


def _kind_of(text: str) -> StatementKind:
    found = _FIRST_WORD.match(text)
    word = found.group(1).upper() if found else ""
    if word in _READS:
        if _MAY_WRITE.search(_LOCKING.sub("", text)):
            return "write"
        return "session" if _SETS.search(text) else "read"
    kind = _OTHERS.get(word, "write")
    if kind == "write" or _is_several(text):
        return "write"
    if kind == "rollback" and re.search(r"\bTO\b", text, re.IGNORECASE):
        return "savepoint"
    return kind


_known_kind = lru_cache(maxsize=512)(_kind_of)


def may_commit(sql: Any) -> bool:
    """Whether there is a COMMIT in ``sql``, which may be several statements in one string.

    When such a string fails, its error tells of the statement that failed and not of those before it.
    """
    return _COMMIT.search(text_of(sql)) is not None


def commits_implicitly(sql: Any) -> bool:
    """Whether MySQL commits the open transaction before it executes ``sql`` (manual, "Statements That Cause an
    Implicit Commit")."""
    found = _FIRST_WORD.match(text_of(sql))
    return found is not None and found.group(1).upper() in _IMPLICIT


def _is_several(text: str) -> bool:
    return ";" in text.rstrip().rstrip(";")


def text_of(sql: Any) -> str:
    """``sql`` as text; empty where it cannot be put into words."""
    if isinstance(sql, str):
        return sql
    if isinstance(sql, bytes | bytearray):
        return sql.decode(errors="replace")
    try:
        return str(sql.as_string(None))  # psycopg's composed SQL
    except Exception:  # noqa: BLE001  # what cannot be put into words counts as a write
        return ""
