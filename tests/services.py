"""Which services the tests may use, and whether they answer."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from importlib.util import find_spec
from urllib.parse import urlsplit

_TIMEOUT = 2.0


@dataclass(frozen=True)
class Service:
    """A server that tests run against when it answers.

    Attributes:
        name: as ``REPO_DATABASE`` and the summary call it.
        variable: the environment variable with its URL.
        default: the URL when the variable is not set.
        driver: the Python package without which it cannot be used.
        remedy: what to do when the driver is missing.
    """

    name: str
    variable: str
    default: str
    driver: str
    remedy: str

    @property
    def url(self) -> str:
        return os.environ.get(self.variable, self.default)

    def missing(self) -> str | None:
        """Why it cannot be used, ``None`` when it can."""
        if find_spec(self.driver) is None:
            return f"the Python package {self.driver} is not installed; {self.remedy}"
        parts = urlsplit(self.url)
        try:
            with socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 0), timeout=_TIMEOUT):
                return None
        except OSError as error:
            return f"no answer from {parts.hostname}:{parts.port} ({error})"


POSTGRES = Service(
    "postgres",
    "REPO_POSTGRES_URL",
    "postgres://postgres@127.0.0.1:5432/postgres",
    driver="psycopg",
    remedy="pip install 'psycopg[binary]'",
)
MARIADB = Service(
    "mariadb",
    "REPO_MARIADB_URL",
    "mysql://root@127.0.0.1:3306/test",
    driver="MySQLdb",
    remedy="mysqlclient could not be built, see mysqlclient.log in the virtual environment",
)
REDIS = Service(
    "redis",
    "REPO_REDIS_URL",
    "redis://127.0.0.1:6379/0",
    driver="django_redis",
    remedy="pip install django-redis",
)

SERVICES = (POSTGRES, MARIADB, REDIS)
