"""What the codes of PostgreSQL, MySQL, MariaDB and SQLite mean. Data alone; :mod:`.classification` reads it.

Codes and not the Python types of drivers: psycopg files 25006 under ``InternalError`` and 26000 under
``ProgrammingError``, and both say that the session is of no use any more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeVar

from ..exceptions import Fate

Vote = Literal["failure", "success", "slow", "void"]


class Meaning(NamedTuple):
    """What a code says, whatever the moment it came at.

    The default is the ordinary refusal: the database is alive and said no to this one statement. Then
    ``vote`` is ``"success"``; it is ``"void"`` where the answer says nothing about the database's health.
    """

    kind: str
    vote: Vote = "success"
    fate: Fate = "not_applied"
    transient: bool = False
    drop: bool = False


# A violated constraint was looked up in the database, which therefore works.
DUPLICATE_KEY = Meaning("duplicate_key")
FOREIGN_KEY = Meaning("foreign_key")
CHECK_VIOLATION = Meaning("check_violation")
NOT_NULL = Meaning("not_null")
INVALID_DATA = Meaning("invalid_data", "void")
CALLER = Meaning("caller", "void")
STALE = Meaning("stale", "void")
OTHER = Meaning("other", "void")

LOCK_TIMEOUT = Meaning("lock_timeout", transient=True)
DEADLOCK = Meaning("deadlock", transient=True)
SERIALIZATION = Meaning("serialization", transient=True)
TIMEOUT = Meaning("timeout", "slow")
TRANSACTION_TIMEOUT = Meaning("timeout", transient=True, drop=True)

#: Lost after something was sent: it may have been applied.
LOST = Meaning("connection", "failure", "unknown", transient=True, drop=True)
#: Lost, but the server says that it did nothing; or never reached.
UNREACHED = LOST._replace(fate="not_applied")
#: Found closed before anything was sent. That is old news about this connection and none about the database.
CLOSED = UNREACHED._replace(vote="void")
SHUTDOWN = Meaning("shutdown", "failure", transient=True, drop=True)
RESOURCES = Meaning("resources", "failure", transient=True)
STORAGE = Meaning("storage", "failure")
#: One table, or a full disk: whatever else the database is asked, it goes on answering.
STORAGE_PARTLY = Meaning("storage", "void")
READ_ONLY = Meaning("read_only", "failure", transient=True, drop=True)
#: Read-only because this transaction or this file is; a new connection would be no different.
READ_ONLY_HERE = Meaning("read_only", "void")
AUTHENTICATION = Meaning("authentication", "failure", drop=True)
CONFIGURATION = Meaning("configuration", "failure", drop=True)
SESSION_LOST = Meaning("session_lost", transient=True, drop=True)
COMMIT_UNKNOWN = Meaning("commit_unknown", "failure", "unknown", drop=True)

#: Our own side had no connection to give.
POOL = Meaning("pool", "void", transient=True)
CIRCUIT_OPEN = Meaning("circuit_open", "void", transient=True)
#: Stopped in the middle: nobody knows what the connection would answer next.
CANCELLED = Meaning("cancelled", "void", "unknown", drop=True)

#: The plain meaning of each kind.
BY_KIND: Mapping[str, Meaning] = MappingProxyType(
    {
        meaning.kind: meaning
        for meaning in (
            DUPLICATE_KEY,
            FOREIGN_KEY,
            CHECK_VIOLATION,
            NOT_NULL,
            INVALID_DATA,
            CALLER,
            STALE,
            OTHER,
            LOCK_TIMEOUT,
            DEADLOCK,
            SERIALIZATION,
            TIMEOUT,
            LOST,
            SHUTDOWN,
            RESOURCES,
            STORAGE,
            READ_ONLY,
            AUTHENTICATION,
            CONFIGURATION,
            SESSION_LOST,
            COMMIT_UNKNOWN,
            POOL,
            CIRCUIT_OPEN,
            CANCELLED,
        )
    }
)
KINDS = frozenset(BY_KIND)

K = TypeVar("K", str, int)


def _table(meanings: Iterable[tuple[Meaning, Iterable[K]]]) -> Mapping[K, Meaning]:
    return MappingProxyType({code: meaning for meaning, codes in meanings for code in codes})


#: By SQLSTATE, or by its class where the class has one meaning. https://www.postgresql.org/docs/current/errcodes-appendix.html
POSTGRES: Mapping[str, Meaning] = _table(
    [
        (CALLER, ["02", "03", "09", "0A", "0B", "0F", "0L", "0P", "0Z", "10", "20", "21", "23", "24", "25", "27"]),
        (CALLER, ["2B", "2D", "2F", "38", "39", "3B", "3F", "40002", "42", "44", "54", "55", "P0"]),
        (INVALID_DATA, ["22"]),
        (NOT_NULL, ["23502"]),
        (FOREIGN_KEY, ["23503", "23001"]),
        (DUPLICATE_KEY, ["23505", "23P01"]),
        (CHECK_VIOLATION, ["23514"]),
        (SERIALIZATION, ["40000", "40001"]),
        (DEADLOCK, ["40P01"]),
        (LOCK_TIMEOUT, ["55P03"]),
        (TIMEOUT, ["57014"]),
        (TRANSACTION_TIMEOUT, ["25P03", "25P04"]),  # both end the session
        (LOST, ["08"]),
        (UNREACHED, ["08001", "08004"]),
        (COMMIT_UNKNOWN, ["08007", "40003"]),
        (SHUTDOWN, ["57P01", "57P03"]),
        (SHUTDOWN._replace(fate="unknown"), ["57P02"]),  # a crash asks nobody whether a commit was under way
        (SHUTDOWN._replace(vote="success"), ["57P05"]),  # it was idle for longer than the database allows
        (RESOURCES, ["53"]),
        (RESOURCES._replace(vote="void", transient=False), ["53400"]),  # one statement's own limit: temp_file_limit
        (STORAGE_PARTLY, ["53100", "XX001", "XX002"]),
        (STORAGE, ["58"]),
        (CALLER, ["58P01", "58P02"]),  # a missing extension
        (READ_ONLY, ["25006"]),  # a primary that was demoted, as a rule
        (AUTHENTICATION, ["28"]),
        (CONFIGURATION, ["3D", "57P04"]),
        (SESSION_LOST, ["26", "34"]),  # prepared by, or opened on, a session that a pooler or a failover took away
    ]
)

#: By error number. Client errors are 2000 to 2999; 0 is what mysqlclient says of a closed handle.
#: https://mariadb.com/docs/server/reference/error-codes
MYSQL: Mapping[int, Meaning] = _table(
    [
        (DUPLICATE_KEY, [1022, 1062, 1169, 1586, 1761, 1762, 1859]),
        (FOREIGN_KEY, [1216, 1217, 1451, 1452]),
        (CHECK_VIOLATION, [3819, 4025]),
        (NOT_NULL, [1048, 1171, 1263, 1364]),
        (INVALID_DATA, [1118, 1139, 1264, 1265, 1292, 1300, 1365, 1366, 1367, 1406, 1411, 1416, 1441, 1690]),
        (INVALID_DATA, [2020, 3140, 3141, 3143, 3146, 3156, *range(4036, 4045)]),
        (INVALID_DATA._replace(drop=True), [1153]),  # too large a packet: the server hangs up
        (CALLER, [1046, 1050, 1051, 1052, 1054, 1055, 1056, 1058, 1059, 1060, 1061, 1063, 1064, 1065, 1066, 1068]),
        (
            CALLER,
            [1072, 1074, 1075, 1091, 1093, 1096, 1103, 1109, 1110, 1111, 1113, 1136, 1140, 1142, 1143, 1146, 1149],
        ),
        (CALLER, [1193, 1210, 1221, 1222, 1227, 1231, 1235, 1241, 1242, 1247, 1248, 1286, 1289, 1305, 1318, 1370]),
        (CALLER, [1582, 1630, 1644, 1701]),
        (LOCK_TIMEOUT, [1205, 3572]),
        (DEADLOCK, [1213, 1614]),
        (SERIALIZATION, [1020]),
        (TIMEOUT, [1317, 1969, 3024]),
        (LOST, [1158, 1159, 1160, 1161, 1152, 1184, 2012, 2013, 2014, 2026, 2027, 2055]),
        (UNREACHED, [1047, 1129, 2001, 2002, 2003, 2004, 2005, 2009]),  # 1047: a Galera node that is not ready
        (CLOSED, [0, 2006]),  # 2006 is the client's word for a statement that it could not send
        (CLOSED._replace(vote="success"), [4031]),
        (SHUTDOWN, [1053, 1927]),
        (RESOURCES, [1037, 1038, 1040, 1041, 1135, 1203, 1206, 1226, 2008]),
        (STORAGE_PARTLY, [3, 28, 1021, 1026, 1030, 1034, 1035, 1114, 1194, 1195]),
        (STORAGE._replace(fate="unknown"), [1180]),  # an error during COMMIT
        (READ_ONLY, [1290, 1836]),
        (READ_ONLY_HERE, [1036, 1792]),
        (AUTHENTICATION, [1044, 1045, 1130, 1251, 1275, 1698, 1820, 1862, 2049, 2058, 2059, 2061, 3118, 3159, 4151]),
        (CONFIGURATION, [1049, 2019]),
    ]
)

#: By name; an extended name such as ``SQLITE_IOERR_FSYNC`` that is not here means what its first part means.
#: https://www.sqlite.org/rescode.html
SQLITE: Mapping[str, Meaning] = _table(
    [
        (DUPLICATE_KEY, ["SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_ROWID"]),
        (FOREIGN_KEY, ["SQLITE_CONSTRAINT_FOREIGNKEY"]),
        (CHECK_VIOLATION, ["SQLITE_CONSTRAINT_CHECK"]),
        (NOT_NULL, ["SQLITE_CONSTRAINT_NOTNULL"]),
        (INVALID_DATA, ["SQLITE_TOOBIG", "SQLITE_MISMATCH", "SQLITE_CONSTRAINT_DATATYPE"]),
        (CALLER, ["SQLITE_ERROR", "SQLITE_RANGE", "SQLITE_MISUSE", "SQLITE_AUTH", "SQLITE_CONSTRAINT"]),
        (LOCK_TIMEOUT, ["SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL"]),
        (SERIALIZATION, ["SQLITE_BUSY_SNAPSHOT"]),
        (TIMEOUT, ["SQLITE_INTERRUPT"]),
        (SESSION_LOST, ["SQLITE_SCHEMA", "SQLITE_READONLY_DBMOVED"]),
        (UNREACHED, ["SQLITE_CANTOPEN"]),
        (RESOURCES, ["SQLITE_NOMEM"]),
        (STORAGE, ["SQLITE_CORRUPT", "SQLITE_NOTADB"]),
        (STORAGE._replace(fate="unknown", drop=True), ["SQLITE_IOERR"]),
        (STORAGE_PARTLY, ["SQLITE_FULL"]),
        (READ_ONLY_HERE, ["SQLITE_READONLY"]),
        (CONFIGURATION, ["SQLITE_PERM", "SQLITE_NOLFS"]),
    ]
)

#: What drivers say, without a code, of a connection that they know to be closed; the statement was not sent.
#: These texts are the drivers' own and are not translated: psycopg (twice), psycopg2, sqlite3.
CLOSED_TEXTS = frozenset(
    {
        "the connection is closed",
        "the connection is lost",
        "connection already closed",
        "Cannot operate on a closed database.",
    }
)
#: The same of a cursor: a mistake of the caller, the connection is well.
CLOSED_CURSOR_TEXTS = frozenset({"the cursor is closed", "cursor already closed", "cursor closed"})

#: What Django's ``check_constraints()`` says of a broken foreign key on SQLite and MySQL; the row's values are in it.
DJANGO_FOREIGN_KEY = re.compile(r"has an invalid foreign key: (?P<table>\S+)\.(?P<columns>\S+) contains a value ")

#: Exceptions of psycopg_pool, which say that our own side is busy. A pool whose database is down says
#: ``PoolTimeout`` as well, and nothing in the exception tells the two apart; its statistics do.
POOL_ERRORS = frozenset({"PoolTimeout", "TooManyRequests", "PoolClosed"})

#: Exceptions that a signal handler raises in the middle of whatever runs: Celery's soft limit and the built-in.
INTERRUPTIONS = frozenset({"SoftTimeLimitExceeded", "TimeoutError"})

#: What a PostgreSQL server answers to a connection that it does not want, and the SQLSTATE that goes with it.
#:
#: libpq drops the SQLSTATE of a failed connection: psycopg 3.3 gives ``sqlstate`` and every ``diag`` attribute as
#: ``None``, and its ``pgconn`` looks the same after a wrong password, an unknown database and a full server
#: (``used_password`` is true for all three, ``server_version`` 0). Only a password that the server wanted and
#: nobody supplied shows, as ``needs_password``. The text is what is left. A server with another ``lc_messages``
#: translates it, and then the failure is taken for a connection that may be there later, which only costs tries.
POSTGRES_LOGIN_TEXTS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), code)
    for pattern, code in [
        (r"FATAL: +\w+ authentication failed for user", "28P01"),
        (r"FATAL: +role .* does not exist", "28000"),
        (r"FATAL: +role .* is not permitted to log in", "28000"),
        (r"FATAL: +(no pg_hba\.conf entry|pg_hba\.conf rejects connection)", "28000"),
        (r"FATAL: +permission denied for database", "42501"),
        (r"FATAL: +database .* does not exist", "3D000"),
        (r"FATAL: +database .* is not currently accepting connections", "55000"),
        (r"FATAL: +unrecognized configuration parameter", "42704"),
        (r"FATAL: +(sorry, )?too many (clients|connections)", "53300"),
        (r"FATAL: +remaining connection slots are reserved", "53300"),
        (r"FATAL: +the database system is ", "57P03"),
    ]
)
