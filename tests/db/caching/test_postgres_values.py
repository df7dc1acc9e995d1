"""The columns that only PostgreSQL has."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.contrib.postgres import fields as postgres
from django.contrib.postgres.search import SearchVector, SearchVectorField
from django.contrib.postgres.signals import get_hstore_oids, register_type_handlers
from django.db import connection, connections, models
from django.test.utils import isolate_apps
from psycopg.types.range import Range

from django_enterprise_repo.caching.codec import unsupported_fields
from tests.db.caching.reading import assert_cached_as_read

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(settings.REPO_DATABASE != "postgres", reason="Only PostgreSQL has these columns."),
]

MOMENT = datetime(2026, 1, 1, 12, tzinfo=UTC)
ROWS = [
    {},
    {"numbers": [], "amounts": [], "pairs": {}, "grid": []},
    {"numbers": [1, None, -5], "amounts": [Decimal("1.50"), Decimal("0.00")], "grid": [["a", None], ["ü", ""]]},
    {"moments": [MOMENT, None], "documents": [{"a": [2**70]}, 1, "text"]},
    {"pairs": {"a": "1", "ü": None, "": ""}},
    {"whole": (1, 10), "large": Range(None, 5, "(]"), "exact": Range(Decimal("1.0"), Decimal("2.50"), "[]")},
    {"whole": Range(empty=True), "days": (date(2026, 1, 1), None), "span": Range(None, None)},
    {"span": (MOMENT, MOMENT.replace(hour=13)), "days": Range(date(2026, 1, 1), date(2026, 1, 2), "[]")},
    {"span": Range(empty=True), "exact": Range(Decimal(1), None, "()")},
]


@pytest.fixture(scope="module")
def model():
    with isolate_apps("tests.testapp"):

        class PostgresColumns(models.Model):
            __module__ = "tests.testapp.models"

            numbers = postgres.ArrayField(models.IntegerField(null=True), null=True)
            amounts = postgres.ArrayField(models.DecimalField(max_digits=8, decimal_places=2), null=True)
            grid = postgres.ArrayField(postgres.ArrayField(models.CharField(max_length=9, null=True)), null=True)
            moments = postgres.ArrayField(models.DateTimeField(null=True), null=True)
            documents = postgres.ArrayField(models.JSONField(), null=True)
            pairs = postgres.HStoreField(null=True)
            whole = postgres.IntegerRangeField(null=True)
            large = postgres.BigIntegerRangeField(null=True)
            exact = postgres.DecimalRangeField(null=True)
            days = postgres.DateRangeField(null=True)
            span = postgres.DateTimeRangeField(null=True)
            words = SearchVectorField(null=True)

    return PostgresColumns


@pytest.fixture
def table(model):
    with connection.cursor() as cursor:
        cursor.execute("CREATE EXTENSION IF NOT EXISTS hstore")
    get_hstore_oids.cache_clear()
    register_type_handlers(connections[connection.alias])
    with connection.schema_editor() as editor:
        editor.create_model(model)
    yield model
    get_hstore_oids.cache_clear()


@pytest.fixture(params=[None, "America/New_York"])
def zone(request):
    wrapper = connections[connection.alias]
    wrapper.timezone = ZoneInfo(request.param) if request.param else UTC
    yield wrapper.timezone
    del wrapper.timezone


@pytest.mark.parametrize("values", ROWS, ids=str)
def test_a_row_from_the_cache_is_the_row_of_the_database(table, values, zone):
    assert unsupported_fields(table) == []

    plain = assert_cached_as_read(table, table.objects.create(**values).pk)

    assert {name for name, value in vars(plain).items() if value is not None} == {"_state", "id", *values}


def test_times_in_ranges_and_arrays_have_the_zone_of_the_connection(table, zone):
    plain = assert_cached_as_read(table, table.objects.create(moments=[MOMENT], span=(MOMENT, None)).pk)

    assert (plain.moments[0].tzinfo, plain.span.lower.tzinfo) == (zone, zone)


def test_search_vectors(table):
    row = table.objects.create(grid=[["two", "words"]])
    table.objects.update(words=SearchVector(models.Value("two words")))

    assert "word" in assert_cached_as_read(table, row.pk).words
