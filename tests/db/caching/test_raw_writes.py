"""SQL that nobody announced: with an engine of ours it locks the models that it may have changed."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
from django.conf import settings
from django.db import connection, connections, transaction

from tests.db.caching.conftest import expire_locks
from tests.faults.django_env import databases
from tests.testapp.models import Bare, Category, Item

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("django_enterprise_repo" not in settings.DATABASES["default"]["ENGINE"], reason="our engines"),
]

UPDATE = "UPDATE testapp_bare SET size = 7"


@pytest.fixture
def cache(everything_cached):
    return everything_cached


@pytest.fixture
def row(cache):
    """A row that the cache answers for."""
    row = Bare.objects.add(Bare(name="a"))
    expire_locks(cache)
    Bare.objects.get(row.pk)
    assert_hit(row)
    return row


def assert_hit(row):
    hits = Bare.objects.cache_info().hit
    assert Bare.objects.get(row.pk)
    assert Bare.objects.cache_info().hit == hits + 1


def execute(*statements):
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def assert_read_as_stored(row, cache):
    stored = list(Bare._base_manager.filter(pk=row.pk).values_list("name", "size"))
    for _ in range(3):
        found = Bare.objects.get_or_none(row.pk)
        assert ([] if found is None else [(found.name, found.size)]) == stored
        expire_locks(cache)


WRITES = {
    "UPDATE": UPDATE,
    "lower and upper case": "update TestApp_Bare set size = 7" if settings.REPO_DATABASE != "mariadb" else UPDATE,
    "comments": f"/* size */ {UPDATE}",
    "DELETE": "DELETE FROM testapp_bare",
    "CTE": "WITH known AS (SELECT 1) UPDATE testapp_bare SET size = 7",
}
POSTGRES_WRITES = {
    "ONLY": "DELETE FROM ONLY testapp_bare",
    "UPDATE ONLY": "UPDATE ONLY testapp_bare SET size = 7",
    "schema": 'UPDATE "public"."testapp_bare" SET size = 7',
    "writing CTE": "WITH gone AS (DELETE FROM testapp_bare RETURNING id) SELECT * FROM gone",
    "TRUNCATE": "TRUNCATE testapp_bare",
    "MERGE": "MERGE INTO testapp_bare b USING (SELECT 1) s ON true WHEN MATCHED THEN UPDATE SET size = 7",
    "DO": "DO $$ BEGIN EXECUTE 'UPDATE testapp_' || 'bare SET size = 7'; END $$",
}
if settings.REPO_DATABASE == "postgres":
    WRITES |= POSTGRES_WRITES
if settings.REPO_DATABASE == "mariadb":
    del WRITES["CTE"]
    WRITES["several tables"] = "UPDATE testapp_bare, testapp_tag SET size = 7"
    WRITES["TRUNCATE"] = "TRUNCATE testapp_bare"


@pytest.mark.parametrize("block", [nullcontext, transaction.atomic], ids=["autocommit", "transaction"])
@pytest.mark.parametrize("statement", WRITES.values(), ids=WRITES)
def test_what_a_statement_changes_is_read(statement, block, row, cache):
    with block():
        execute(statement)
        Bare.objects.get_or_none(row.pk)

    assert_read_as_stored(row, cache)


def test_executemany(row, cache):
    with connection.cursor() as cursor:
        cursor.executemany("UPDATE testapp_bare SET size = size + %s", [(3,), (4,)])

    assert Bare.objects.get(row.pk).size == 7
    assert_read_as_stored(row, cache)


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
def test_a_transaction_in_sql(end, row, cache):
    execute("BEGIN", UPDATE)
    Bare.objects.get(row.pk)
    execute(end)

    assert Bare.objects.get(row.pk).size == (7 if end == "COMMIT" else 0)
    assert_read_as_stored(row, cache)


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_what_another_alias_of_the_database_changes_is_read(row, cache):
    with databases({"other": connection.settings_dict}):
        Bare.objects.using("other").filter(pk=row.pk).update(size=1)
        assert Bare.objects.get(row.pk).size == 1
        expire_locks(cache)
        Bare.objects.get(row.pk)
        with connections["other"].cursor() as cursor:
            cursor.execute(UPDATE)

        assert Bare.objects.get(row.pk).size == 7
        assert_read_as_stored(row, cache)


def test_new_rows_lock_nothing(row):
    insert = "INSERT INTO testapp_bare (name, size)"
    execute(f"{insert} VALUES ('b', 1)", f"{insert} SELECT 'c', 2")
    Bare.objects.add_all([Bare(name="d"), Bare(name="e")])
    Bare.objects.add(Bare(name="f"))

    assert_hit(row)


def test_a_table_with_a_longer_name_is_another_one(row):
    execute("CREATE TABLE testapp_bare_too AS SELECT 1 AS size", "/* */ UPDATE testapp_bare_too SET size = 2")
    try:
        assert_hit(row)
    finally:
        execute("/* */ DROP TABLE testapp_bare_too")


postgres = pytest.mark.skipif(settings.REPO_DATABASE != "postgres", reason="PostgreSQL")


@postgres
def test_copy(row, cache):
    with connection.cursor() as cursor, cursor.copy("COPY testapp_bare (name, size) FROM STDIN") as copy:
        copy.write_row(("b", 1))

    locked = Bare.objects.cache_info().locked
    Bare.objects.get(row.pk)
    assert Bare.objects.cache_info().locked == locked + 1
    assert_read_as_stored(row, cache)


@postgres
def test_what_a_cascade_takes_along_is_not_read_any_more(cache):
    item = Item.objects.add(Item(name="a", category=Category.objects.add(Category(name="c"))))
    expire_locks(cache)
    Item.objects.get(item.pk)

    execute("TRUNCATE testapp_category CASCADE")

    assert Item.objects.get_or_none(item.pk) is None


@postgres
def test_composed_sql(row, cache):
    from psycopg import sql

    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("UPDATE {} SET size = {}").format(sql.Identifier("testapp_bare"), sql.Literal(7)))

    assert_read_as_stored(row, cache)
