"""A value in every type of field, and every error a database has: the value is in no log, metric or error of ours."""

from __future__ import annotations

import io
import json
import logging
import uuid
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pytest
from django.db import connection, models
from django.db.models import Value
from django.test.utils import isolate_apps

from django_enterprise_repo import Repository, VersionedModel, deadline, operation_context
from django_enterprise_repo.exceptions import RepositoryError
from django_enterprise_repo.observability.logging import CorrelationIdFilter, JsonFormatter
from django_enterprise_repo.observability.metrics import exposition
from django_enterprise_repo.operations import describe
from django_enterprise_repo.policies import BreakerPolicy
from django_enterprise_repo.resilience import breakers
from django_enterprise_repo.testing import capture_operations
from tests.db.resilience.conftest import deadlock, failing
from tests.db.resilience.test_deadlines import Sleep

pytest.importorskip("prometheus_client")

pytestmark = pytest.mark.django_db(transaction=True)

__all__ = ["failing"]

NUMBER = 7_390_159
UUID = uuid.UUID("73901590-0000-4000-8000-000000000000")
MOMENT = datetime(1907, 3, 9, 7, 39, 1, 590159, tzinfo=UTC)
NEEDLES = ("kanari", "7390159", "1907-03-09", "07:39:01.590159", "73.90.15.9", "6b616e61", "855 days")

with isolate_apps("tests.testapp"):

    class Everything(VersionedModel):
        """A column of every type. Those that every database can index are unique."""

        text = models.TextField(null=True)
        char = models.CharField(max_length=40, unique=True, null=True)
        slug = models.SlugField(unique=True, null=True)
        email = models.EmailField(max_length=100, unique=True, null=True)
        url = models.URLField(max_length=100, unique=True, null=True)
        file = models.FileField(max_length=100, null=True)
        integer = models.IntegerField(unique=True, null=True)
        big = models.BigIntegerField(unique=True, null=True)
        positive = models.PositiveIntegerField(unique=True, null=True)
        real = models.FloatField(null=True)
        exact = models.DecimalField(max_digits=20, decimal_places=4, unique=True, null=True)
        day = models.DateField(unique=True, null=True)
        moment = models.DateTimeField(unique=True, null=True)
        hour = models.TimeField(unique=True, null=True)
        span = models.DurationField(unique=True, null=True)
        uid = models.UUIDField(unique=True, null=True)
        address = models.GenericIPAddressField(unique=True, null=True)
        binary = models.BinaryField(null=True)
        document = models.JSONField(null=True)
        needed = models.IntegerField(default=1)
        parent = models.ForeignKey("self", models.CASCADE, null=True)

        objects = Repository["Everything"]()

        class Meta:
            app_label = "testapp"
            constraints = [models.CheckConstraint(condition=models.Q(needed__gt=0), name="everything_needed")]


CANARY = {
    "text": "kanari text",
    "char": "kanari 'a)=(b",
    "slug": "kanari-slug",
    "email": "kanari@example.org",
    "url": "https://kanari.example.org/",
    "file": "kanari/file.txt",
    "integer": NUMBER,
    "big": NUMBER * 10,
    "positive": NUMBER,
    "real": NUMBER + 0.5,
    "exact": Decimal("7390159.25"),
    "day": MOMENT.date(),
    "moment": MOMENT,
    "hour": MOMENT.time(),
    "span": timedelta(days=855, seconds=3),
    "uid": UUID,
    "address": "73.90.15.9",
    "binary": b"kanari",
    "document": {"kanari": ["kanari", NUMBER]},
}
UNIQUE = [field.name for field in Everything._meta.fields if field.unique and not field.primary_key]


@pytest.fixture
def row():
    """A row with the canary in every column, in a table that is gone afterwards."""
    with connection.schema_editor() as editor:
        editor.create_model(Everything)
    yield Everything.objects.create(pk=NUMBER, **CANARY)
    breakers.reset_breakers()
    connection.close()
    with connection.constraint_checks_disabled(), connection.schema_editor() as editor:
        editor.delete_model(Everything)


@pytest.fixture
def log():
    """All that the package logs, and what a project would log of its errors, as JSON and as plain text."""
    written = io.StringIO()
    package, project = logging.getLogger("django_enterprise_repo"), logging.getLogger("project")
    handlers = [logging.StreamHandler(written), logging.StreamHandler(written)]
    handlers[0].setFormatter(JsonFormatter())
    for handler in handlers:
        handler.addFilter(CorrelationIdFilter())
        package.addHandler(handler)
    project.addHandler(handlers[0])
    package.setLevel(logging.DEBUG)
    yield written
    for handler in handlers:
        package.removeHandler(handler)
        project.removeHandler(handler)
    package.setLevel(logging.NOTSET)


class Provoked:
    """Runs calls that fail, and keeps every text that might tell of it."""

    def __init__(self, log: io.StringIO) -> None:
        self.log = log
        self.texts: list[str] = []

    def __call__(self, call, *kinds: str) -> None:
        """``call`` fails, on this database with one of ``kinds`` where any are given."""
        with (
            capture_operations() as operations,
            operation_context(correlation_id="req-7"),
            pytest.raises(Exception) as caught,
        ):
            self._make(call)
        error = caught.value
        assert not kinds or getattr(error, "kind", None) in kinds, f"{type(error)}: {error}"
        if isinstance(error, RepositoryError):
            self.texts += [str(error), repr(error), repr(error.args)]
        self.texts += [repr(describe(operation)) for operation in operations]

    def _make(self, call) -> None:
        try:
            call()
        except Exception:
            logging.getLogger("project").exception("call_failed")
            raise

    def tell(self) -> list[str]:
        metrics = [exposition(accept)[0].decode() for accept in ("", "application/openmetrics-text")]
        return [*self.texts, *metrics, repr(Everything.objects.metrics()), self.log.getvalue()]

    def told(self) -> list[str]:
        return [f"{needle}: {text[:2000]}" for text in self.tell() for needle in NEEDLES if needle in text.lower()]


@pytest.fixture
def provoke(log):
    return Provoked(log)


def test_constraints(row, provoke):
    for name in UNIQUE:
        provoke(lambda name=name: Everything.objects.create(**{name: CANARY[name]}), "duplicate_key")
    provoke(lambda: Everything(**{**CANARY, "pk": NUMBER}).save(force_insert=True), "duplicate_key")
    provoke(lambda: Everything.objects.add_all([Everything(uid=UUID)]), "duplicate_key")
    others = {name: CANARY[name] for name in CANARY.keys() - {*UNIQUE}}
    Everything.objects.create(char="other")
    provoke(lambda: Everything.objects.filter(char="other").update(char=CANARY["char"]), "duplicate_key")
    provoke(lambda: Everything.objects.create(needed=-NUMBER, **others), "check_violation")
    provoke(lambda: Everything.objects.create(needed=None, **others), "not_null")
    provoke(lambda: Everything.objects.update_all({"needed": 1}, needed=-NUMBER), "check_violation")
    # The foreign key is deferred: it is checked at COMMIT.
    provoke(lambda: Everything.objects.create(parent_id=NUMBER * 10, **others), "foreign_key")
    provoke(lambda: Everything.objects.atomic().run(Everything.objects.create, parent_id=NUMBER * 10), "foreign_key")

    assert not provoke.told()


def test_values_and_rows(row, provoke):
    if connection.vendor != "sqlite":  # which has no lengths and no ranges
        provoke(lambda: Everything.objects.create(char="kanari" * 10), "invalid_data")
        provoke(lambda: Everything.objects.create(integer=NUMBER * 10**6))
        provoke(lambda: Everything.objects.create(exact=Decimal(7390159) * 10**20))
    provoke(lambda: Everything.objects.create(integer="kanari"))
    provoke(lambda: Everything.objects.get(NUMBER * 10))
    provoke(lambda: Everything.objects.get(uid=UUID, char="kanari"))
    provoke(lambda: Everything.objects.list({"integer": "kanari"}))
    provoke(lambda: Everything.objects.list({"integer": {"in": ["7390159kanari"]}}))
    provoke(lambda: Everything.objects.list({"uid": "kanari"}))
    provoke(lambda: Everything.objects.list({"day": "kanari 1907-03-09"}))
    provoke(lambda: Everything.objects.update(row, needed=2, expected_version=NUMBER))
    provoke(lambda: Everything.objects.get(row.pk).delete() and Everything.objects.update(row.pk, needed=3))

    assert not provoke.told()


def test_databases_out_of_order(row, provoke, failing):
    def lost():
        return connection.Database.OperationalError("server closed the connection: kanari 7390159")

    breakers.configure(lambda alias: BreakerPolicy(fail_max=3, reset_timeout=60))
    failing.errors = [deadlock()]
    assert Everything.objects.list({"char": CANARY["char"]})  # retried, and found
    failing.errors = [lost()]
    provoke(lambda: Everything.objects.create(text="kanari"), "commit_unknown")
    failing.errors = [lost()] * 10
    provoke(lambda: Everything.objects.list({"char": CANARY["char"]}), "connection", "circuit_open")
    provoke(lambda: Everything.objects.get(uid=UUID), "circuit_open")
    failing.errors = []

    assert not provoke.told()
    events = {json.loads(line)["event"] for line in provoke.log.getvalue().splitlines() if line.startswith("{")}
    assert events >= {"operation_finished", "operation_retried", "operation_failed", "circuit_opened", "call_failed"}
    assert "req-7" in provoke.log.getvalue()


def test_deadlines(row, provoke):
    rows = Everything.objects.annotate(slept=Sleep(Value(20))).filter(char=CANARY["char"], uid=UUID)
    with deadline(0.3):
        provoke(lambda: list(rows), "deadline")

    assert not provoke.told()


def test_the_needles_are_found_where_they_are(row, provoke):
    """The search would see them: here is a log that tells."""
    for value in (*CANARY.values(), date(1907, 3, 9), time(7, 39, 1, 590159), b"kanari".hex(), UUID.hex):
        logging.getLogger("django_enterprise_repo").error("told %s", value)
        assert provoke.told(), value
        provoke.log.seek(0)
        provoke.log.truncate()
    with suppress(RepositoryError):
        Everything.objects.create(uid=UUID)
    assert not provoke.told()
