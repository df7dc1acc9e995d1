"""A change whose history cannot be written is not made: every way to write, in autocommit and inside a transaction."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
from django.apps import apps
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models import QuerySet
from simple_history.models import HistoricalRecords

from django_enterprise_repo import operation_context
from django_enterprise_repo.auditing.tables import HistoryTable
from django_enterprise_repo.exceptions import HistoryElsewhere, HistoryMismatch, InvalidArgument
from tests.db.auditing.test_write_paths import EVERY
from tests.testapp.models import Account, Audited, AuditedSeat, Entry, Item, Ledger

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.exhaustive]

AUDITED = [model for model in apps.get_app_config("testapp").get_models() if not hasattr(model, "tracked_fields")]


def contents():
    """Every row of every model of the tests and of their histories."""
    everything = apps.get_app_config("testapp").get_models(include_auto_created=True)
    return {model: sorted(map(str, QuerySet(model).values_list())) for model in everything}


@pytest.fixture
def broken_history(monkeypatch):
    """The database refuses every history row: its kind of change is missing."""
    stamped = HistoryTable.stamped

    def without_kind(self, kind, stamp):
        return [
            (column, None if column.name == "history_type" else value) for column, value in stamped(self, kind, stamp)
        ]

    def refuse(self, instance, history_type, using=None):
        raise IntegrityError("no history today")

    def switch_on():
        monkeypatch.setattr(HistoryTable, "stamped", without_kind)
        monkeypatch.setattr(HistoricalRecords, "create_historical_record", refuse)

    return switch_on


@pytest.mark.parametrize("nested", [False, True], ids=["autocommit", "nested"])
@pytest.mark.parametrize(("prepare", "write"), [row[1:3] for row in EVERY], ids=[row[0] for row in EVERY])
def test_without_its_history_no_change_is_made(prepare, write, nested, broken_history):
    prepare()
    before = contents()
    broken_history()

    if write is MANAGER_ALONE_DELETE or write is MANAGER_ALONE_SAVE:
        pytest.skip("Django's own save() and delete(), which the check W002 tells of")
    with pytest.raises(IntegrityError), transaction.atomic() if nested else nullcontext():
        write()

    assert contents() == before


MANAGER_ALONE_SAVE = next(row[2] for row in EVERY if row[0] == "manager alone: save")
MANAGER_ALONE_DELETE = next(row[2] for row in EVERY if row[0] == "manager alone: delete")


def test_a_verb_that_failed_leaves_the_outer_transaction_usable(broken_history):
    account = Account.objects.add(Account(name="a"))
    broken_history()
    with transaction.atomic():
        Item.objects.add(Item(name="kept"))
        with pytest.raises(IntegrityError):
            Account.objects.add(Account(name="b"))
        with pytest.raises(IntegrityError):
            Account.objects.delete(account, hard=True)
    assert Item.objects.count() == 1
    assert Account.objects.get(account.pk)


@pytest.mark.parametrize(
    "write",
    [
        lambda: Account.objects.add(Account(name="b")),
        lambda: Account(name="b").save(),
        lambda: Account.objects.update_all({"name": "a"}, size=1),
        lambda: Account.objects.filter(name="a").update(size=1),
        lambda: Account.objects.delete_all(everything=True),
        lambda: Account.objects.add_all([Account(name="b")]),
        lambda: Entry.objects.filter(text="a").delete(),
        lambda: Ledger.objects.add(Ledger()),
        lambda: Ledger().save(),
    ],
)
def test_an_unknown_user_is_told_before_the_write(write, django_assert_max_num_queries):
    Account.objects.add(Account(name="a"))
    Entry.objects.add(Entry(text="a"))
    before = contents()
    with operation_context(user_id="nobody"), pytest.raises(InvalidArgument):
        write()
    assert contents() == before


def test_a_history_that_drops_rows_behind_our_back_undoes_the_change():
    """Triggers of the history's table that leave rows out; SQLite and MariaDB have none that do it silently."""
    if connection.vendor != "postgresql":
        pytest.skip("only PostgreSQL's triggers can drop a row silently")
    Account.objects.add_all([Account(name=name) for name in "ab"])
    table = Account.history.model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute("CREATE FUNCTION drop_it() RETURNS trigger AS $$ BEGIN RETURN NULL; END $$ LANGUAGE plpgsql")
        cursor.execute(f"CREATE TRIGGER dropping BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION drop_it()")
    try:
        for write in (
            lambda: Account.objects.update_all({"size": 0}, size=1),
            lambda: Account.objects.add(Account(name="c")),
            lambda: Account.objects.add_all([Account(name="c")]),
            lambda: Account.objects.delete_all({"size": 0}),
            lambda: Account.objects.delete_all({"size": 0}, hard=True),
        ):
            with pytest.raises(HistoryMismatch):
                write()
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TRIGGER dropping ON {table}")
            cursor.execute("DROP FUNCTION drop_it()")
    assert sorted(Account.objects.values_list("name", "size")) == [("a", 0), ("b", 0)]


class HistoriesElsewhere:
    def db_for_write(self, model, **hints):
        return "other" if model.__name__.startswith("Historical") else None


@pytest.mark.django_db(databases="__all__", transaction=True)
def test_a_history_on_another_database_is_refused(settings, monkeypatch):
    from django_enterprise_repo.auditing.tables import own_table

    settings.DATABASE_ROUTERS = [HistoriesElsewhere()]
    monkeypatch.setattr(own_table(Audited).records, "use_base_model_db", False)
    for write in (
        lambda: Audited.objects.add(Audited(name="a")),
        lambda: Audited(name="a").save(),
        lambda: Audited.objects.add_all([Audited(name="a")]),
    ):
        with pytest.raises(HistoryElsewhere, match="another database") as caught:
            write()
    assert isinstance(caught.value, DatabaseError)
    assert not Audited.all_objects.exists()
    Account.objects.add(Account(name="a"))
    assert Account.history.using("default").count() == 1, "a trail stays with its model whatever routers say"


def test_deleting_many_audited_rows_takes_four_statements(django_assert_max_num_queries):
    AuditedSeat.objects.add_all([AuditedSeat(row="A", number=n) for n in range(500)])
    with django_assert_max_num_queries(4):
        assert AuditedSeat.objects.filter(row="A").delete()[0] == 500
    assert AuditedSeat.history.filter(history_type="-").count() == 500


@pytest.mark.parametrize("rows", [5, 90])
def test_statements_do_not_grow_with_rows(rows, django_assert_max_num_queries):
    accounts = [Account(name=str(n)) for n in range(rows)]
    with django_assert_max_num_queries(4):
        Account.objects.add_all(accounts)
    with django_assert_max_num_queries(5):
        assert Account.objects.update_all({"size": 0}, size=1) == rows
    with django_assert_max_num_queries(5):
        assert Account.objects.delete_all({"size": 1}) == rows
    with django_assert_max_num_queries(5):
        assert Account.objects.restore_all(everything=True) == rows
