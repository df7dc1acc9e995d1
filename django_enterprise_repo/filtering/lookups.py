"""The lookups behind the text operators, with one meaning on SQLite, PostgreSQL and MariaDB.

Django's own differ between engines: ``icontains`` folds ASCII on SQLite, the database's locale on PostgreSQL and
the column's collation, accents included, on MariaDB.
"""

from __future__ import annotations

from typing import Any

from django.db import NotSupportedError, connections
from django.db.backends.signals import connection_created
from django.db.models import CharField, Lookup, TextField

from .patterns import as_glob, as_like, fold, folded, matches, parse_pattern

# Private names: these two are registered on every text column of the project.
LIKE = "repo_like"
ILIKE = "repo_ilike"

_SQLITE_FUNCTION = "repo_ilike"
# No backslash, whose meaning in a MariaDB literal depends on the sql_mode.
_MYSQL_ESCAPE = "!"


class _PatternLookup(Lookup):
    prepare_rhs = False
    can_use_none_as_rhs = False

    def get_prep_lookup(self) -> str:
        if not isinstance(self.rhs, str):
            raise TypeError(f"{self.lookup_name} takes a literal pattern.")
        return self.rhs

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        raise NotSupportedError(f"{self.lookup_name} has no defined meaning on {connection.vendor}.")


class Like(_PatternLookup):
    """Case-sensitive."""

    lookup_name = LIKE

    def as_postgresql(self, compiler: Any, connection: Any) -> Any:
        sql, params = self.process_lhs(compiler, connection)
        return f"{sql}::text LIKE %s", (*params, as_like(parse_pattern(self.rhs), "\\"))

    def as_sqlite(self, compiler: Any, connection: Any) -> Any:
        # SQLite's LIKE ignores the case of ASCII; GLOB doesn't, and a prefix of it uses the ordinary index.
        sql, params = self.process_lhs(compiler, connection)
        return f"{sql} GLOB %s", (*params, as_glob(parse_pattern(self.rhs)))

    def as_mysql(self, compiler: Any, connection: Any) -> Any:
        # The first half follows the column's collation and can use its index; it lets through at least what the
        # second half, which decides, lets through. LIKE BINARY would not do: there "_" is one byte.
        sql, params = self.process_lhs(compiler, connection)
        pattern = as_like(parse_pattern(self.rhs), _MYSQL_ESCAPE)
        exact = f"CONVERT({sql} USING utf8mb4) COLLATE utf8mb4_bin"
        return (
            f"({sql} LIKE %s ESCAPE '{_MYSQL_ESCAPE}' AND {exact} LIKE %s ESCAPE '{_MYSQL_ESCAPE}')",
            (*params, pattern, *params, pattern),
        )


class ILike(_PatternLookup):
    """Without regard to case, by simple Unicode folding; accents count."""

    lookup_name = ILIKE

    def as_postgresql(self, compiler: Any, connection: Any) -> Any:
        sql, params = self.process_lhs(compiler, connection)
        return f"{sql}::text ILIKE %s", (*params, as_like(parse_pattern(self.rhs), "\\"))

    def as_sqlite(self, compiler: Any, connection: Any) -> Any:
        sql, params = self.process_lhs(compiler, connection)
        return f"{_SQLITE_FUNCTION}(%s, {sql})", (self.rhs, *params)

    def as_mysql(self, compiler: Any, connection: Any) -> Any:
        # LOWER folds by the collation's tables, and only UCA 14's agree with Unicode's simple folding.
        has_uca14 = connection.mysql_is_mariadb and connection.mysql_version >= (10, 10)
        collation = "utf8mb4_uca1400_as_ci" if has_uca14 else "utf8mb4_unicode_520_ci"
        sql, params = self.process_lhs(compiler, connection)
        lowered = f"LOWER(CONVERT({sql} USING utf8mb4) COLLATE {collation}) COLLATE utf8mb4_bin"
        pattern = as_like(folded(self.rhs), _MYSQL_ESCAPE)
        return f"{lowered} LIKE %s ESCAPE '{_MYSQL_ESCAPE}'", (*params, pattern)


def register_lookups() -> None:
    """Make the lookups known to text columns and to SQLite connections, present and future. Idempotent."""
    for field in (CharField, TextField):
        field.register_lookup(Like)
        field.register_lookup(ILike)
    connection_created.connect(_teach_sqlite, dispatch_uid="enterprise_repo.ilike")
    for connection in connections.all(initialized_only=True):
        if connection.connection is not None:
            _teach_sqlite(sender=type(connection), connection=connection)


def _teach_sqlite(sender: Any, connection: Any, **kwargs: Any) -> None:
    if connection.vendor == "sqlite":
        connection.connection.create_function(_SQLITE_FUNCTION, 2, _ilike, deterministic=True)


def _ilike(pattern: str | None, text: Any) -> bool | None:
    if pattern is None or text is None:
        return None
    return matches(folded(pattern), fold(str(text)))
