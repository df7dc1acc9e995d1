"""Set updates whose conditions find the same rows afterwards, and those whose rows have to be listed."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from django.db import connection
from django.db.models import Count, F, Q
from django.db.models.functions import Upper

from django_enterprise_repo import AuditTrail
from django_enterprise_repo.exceptions import HistoryMismatch
from django_enterprise_repo.testing import assert_max_queries
from django_enterprise_repo.writing import steady
from django_enterprise_repo.writing.change import Update
from tests.testapp.models import Account, AuditedSeat, Entry, Tower

pytestmark = pytest.mark.django_db(transaction=True)

WRITES = [
    ("another column", lambda: Entry.objects.filter(text="a"), {"amount": 5}, True),
    ("by an expression", lambda: Entry.objects.filter(text="a"), {"amount": F("amount") + 1}, True),
    ("one of a list", lambda: Entry.objects.filter(text__in=["a", "b"]), {"amount": 5}, True),
    ("one or another", lambda: Entry.objects.filter(Q(text="a") | ~Q(account=None)), {"amount": 5}, True),
    ("all", lambda: Entry.objects.all(), {"amount": 5}, True),
    ("nothing", lambda: Entry.objects.none(), {"amount": 5}, False),
    ("the column itself", lambda: Entry.objects.filter(amount__lt=2), {"amount": 5}, False),
    ("the column itself, negated", lambda: Entry.objects.exclude(amount=2), {"amount": 2}, False),
    ("what is computed from it", lambda: Entry.objects.filter(double__lt=3), {"amount": 5}, False),
    ("an expression", lambda: Entry.objects.filter(text__lte=F("text")), {"amount": 5}, False),
    ("a function", lambda: Entry.objects.annotate(u=Upper("text")).filter(u="A"), {"text": "x"}, False),
    ("a join", lambda: Entry.objects.filter(account__name="x"), {"amount": 5}, False),
    ("a query", lambda: Entry.objects.filter(pk__in=Entry.objects.filter(text="a").values("pk")), {"amount": 5}, False),
    ("a group", lambda: Entry.objects.annotate(n=Count("mention")).filter(n=0), {"amount": 5}, False),
    ("distinct", lambda: Entry.objects.filter(text="a").distinct(), {"amount": 5}, False),
    ("extra", lambda: Entry.objects.extra(where=["amount < 2"]), {"amount": 5}, False),
]


@pytest.fixture(autouse=True)
def forgotten():
    steady._triggers.clear()
    yield
    steady._triggers.clear()


@contextmanager
def a_trigger(statement: str):
    table = Entry._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TRIGGER meddling AFTER UPDATE OF amount ON {table} BEGIN {statement}; END")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER meddling")


def entries() -> None:
    account = Account.objects.add(Account(name="x"))
    Entry.objects.add_all([Entry(text=text, amount=n, account=account if n else None) for n, text in enumerate("aabc")])


@pytest.mark.parametrize(("rows", "values", "expected"), [row[1:] for row in WRITES], ids=[row[0] for row in WRITES])
def test_what_was_changed_is_what_is_on_record(rows, values, expected):
    entries()
    keys = set(rows().values_list("pk", flat=True))
    changing = {Entry._meta.get_field(name): value for name, value in values.items()}
    assert steady.is_steady(Update(rows(), changing, len)) is (expected and connection.vendor == "sqlite")

    assert rows().update(**values) == len(keys)
    recorded = {row.id: (row.text, row.amount) for row in Entry.history.filter(history_type="~")}
    assert recorded == {row.pk: (row.text, row.amount) for row in Entry.objects.filter(pk__in=keys)}


def test_versions_and_inherited_tables_and_composite_keys():
    Account.objects.add_all([Account(name=name) for name in "ab"])
    seats = AuditedSeat.objects.filter(row="A")
    AuditedSeat.objects.add_all([AuditedSeat(row="A", number=n) for n in (1, 2)])
    Tower.objects.add(Tower(address="x"))
    for rows, field, expected in (
        (Account.objects.filter(version=1), "version", False),
        (Account.objects.filter(version=1), "size", True),
        (seats, "price", True),
        (Tower.objects.filter(floors=10), "floors", False),
    ):
        changing = {rows.model._meta.get_field(field): 3}
        assert steady.is_steady(Update(rows, changing, len)) is (expected and connection.vendor == "sqlite")
    assert Account.objects.filter(version=1).update(size=3) == 2  # which moves the version on
    assert seats.update(price=3) == 2
    assert [Account.history.filter(size=3, version=2).count(), AuditedSeat.history.filter(price=3).count()] == [2, 2]


def test_nobody_lists_the_keys():
    if connection.vendor != "sqlite":
        pytest.skip("only SQLite has one writer at a time")
    entries()
    Entry.objects.filter(text="a").update(amount=5)  # asks for triggers
    with assert_max_queries(4) as queries:
        Entry.objects.filter(text="a").update(amount=6)
    assert not [query for query in queries if "RETURNING" in query["sql"]]


def test_a_trigger_that_changes_what_the_conditions_ask_for():
    if connection.vendor != "sqlite":
        pytest.skip("the other engines list the rows")
    entries()
    with a_trigger(f"UPDATE {Entry._meta.db_table} SET text = 'moved' WHERE id = NEW.id"):
        assert Entry.objects.filter(text="a").update(amount=5) == 2
    assert list(Entry.history.filter(history_type="~").values_list("text", "amount")) == [("moved", 5)] * 2


def test_a_trigger_that_comes_later_undoes_the_change():
    if connection.vendor != "sqlite":
        pytest.skip("the other engines list the rows")
    entries()
    Entry.objects.filter(text="b").update(amount=7)
    with (
        a_trigger(f"UPDATE {Entry._meta.db_table} SET text = 'moved' WHERE id = NEW.id"),
        pytest.raises(HistoryMismatch),
    ):
        Entry.objects.filter(text="a").update(amount=5)
    assert Entry.objects.filter(text="a").count() == 2
    assert Entry.history.filter(history_type="~").count() == 1


def test_only_the_key_of_what_a_trail_copies_is_indexed():
    history = Entry.history.model._meta
    indexed = {field.name for field in history.local_fields if field.db_index}
    assert indexed == {"id", "history_date", "history_user", "history_operation_id"}
    assert Account.history.model._meta.get_field("name").db_index is False, "it is unique in the model"


def test_a_trail_can_keep_the_indexes_of_what_it_copies():
    indexed = {
        name for name, field in AuditTrail(no_db_index=["deletion_id"]).copy_fields(Account).items() if field.db_index
    }
    assert indexed == {"id", "name", "deleted_by"}
