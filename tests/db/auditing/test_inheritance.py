"""Rows that several models share: in whose history a change is, how many statements that takes, and what is refused."""

from __future__ import annotations

import threading

import pytest
from django.db import NotSupportedError, connection, transaction
from simple_history.signals import pre_create_historical_record

from django_enterprise_repo import operation_context
from django_enterprise_repo.auditing.family import relatives_of
from django_enterprise_repo.exceptions import HistoryMismatch, InvalidArgument
from tests.db.auditing.inherited_paths import as_child
from tests.testapp.models import (
    Account,
    Boat,
    Building,
    Contract,
    Document,
    Houseboat,
    Shop,
    Skyscraper,
    Tower,
)

pytestmark = pytest.mark.django_db(transaction=True)


def kinds(model, **which):
    return list(model.history.filter(**which).order_by("history_id").values_list("history_type", flat=True))


def test_who_shares_rows_with_whom():
    found = {model: {(r.table.model, r.shared) for r in relatives_of(model)} for model in (Building, Tower, Boat)}
    assert found[Building] == {(model, (Building,)) for model in (Tower, Skyscraper, Shop, Houseboat)}
    assert found[Tower] == {(Skyscraper, (Tower,)), (Shop, (Building,)), (Houseboat, (Building,))}
    assert found[Boat] == {(Houseboat, (Boat,))}
    assert relatives_of(Account) == ()


def test_the_record_of_a_child_is_part_of_the_operation_and_says_what_the_parents_says():
    tower = Tower.objects.add(Tower(address="x"))
    building = Building.objects.get(tower.pk)
    building._change_reason = "by hand"
    Building.objects.update(building, address="y")
    told = ("history_operation_id", "history_date", "history_change_reason", "address", "version")
    (of_building,), (of_tower,) = (
        model.history.filter(history_type="~").values_list(*told) for model in (Building, Tower)
    )
    assert of_building == of_tower
    assert of_tower[2:] == ("by hand", "y", 2)


@pytest.mark.parametrize("rows", [3, 1200])
def test_statements_grow_with_tables_and_not_with_rows(rows, django_assert_max_num_queries, monkeypatch):
    Document.objects.add_all([Document(title=str(n)) for n in range(rows)])
    for document in Document.objects.order_by("pk")[:2]:
        as_child(Contract, document).save()
    with django_assert_max_num_queries(6):  # two of them a savepoint or a transaction
        assert Document.objects.update_all({"title": {"ne": ""}}, category=None) == rows
    assert kinds(Contract) == ["+", "+", "~", "~"]


def test_who_has_no_audited_child_pays_nothing(django_assert_num_queries):
    account = Account.objects.add(Account(name="a"))
    with django_assert_num_queries(1 if connection.vendor == "postgresql" else 4):
        account.save()
    with django_assert_num_queries(1):
        Boat.objects.add(Boat())  # a new row is nobody else's


def test_rows_that_python_has_to_make():
    def listen(**kwargs):
        """Its being there is enough."""

    pre_create_historical_record.connect(listen, sender=Tower.history.model)
    try:
        towers = [Tower.objects.add(Tower(address="x")) for _ in range(2)]
        Building.objects.update_all({"address": "x"}, address="y")
        Building.objects.update(Building.objects.get(towers[0].pk), address="z")
    finally:
        pre_create_historical_record.disconnect(listen, sender=Tower.history.model)
    assert kinds(Tower) == ["+", "+", "~", "~", "~"]
    assert Tower.history.first().address == "z"


def test_a_childs_history_that_drops_rows_undoes_the_change_of_the_parent():
    if connection.vendor != "postgresql":
        pytest.skip("only PostgreSQL's triggers can drop a row silently")
    building = Building.objects.get(Tower.objects.add(Tower(address="x")).pk)
    table = Tower.history.model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute("CREATE FUNCTION drop_it() RETURNS trigger AS $$ BEGIN RETURN NULL; END $$ LANGUAGE plpgsql")
        cursor.execute(f"CREATE TRIGGER dropping BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION drop_it()")
    try:
        for write in (
            lambda: Building.objects.update(building, address="y"),
            lambda: Building.objects.update_all({"address": "x"}, address="y"),
        ):
            with pytest.raises(HistoryMismatch):
                write()
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TRIGGER dropping ON {table}")
            cursor.execute("DROP FUNCTION drop_it()")
    assert (Building.objects.get().address, building.address, kinds(Building)) == ("x", "x", ["+"])


def test_saves_without_a_record_leave_the_children_without_one_too(settings):
    Tower.objects.add(Tower(address="x"))
    building = Building.objects.get()
    building.skip_history_when_saving = True
    building.save()
    del building.skip_history_when_saving
    settings.SIMPLE_HISTORY_ENABLED = False
    building.save()
    assert kinds(Building) == kinds(Tower) == ["+"]


def test_what_would_pass_the_childs_history_by_is_refused():
    contract = Contract.objects.add(Contract(title="a"))
    if connection.features.supports_update_conflicts:
        with pytest.raises(NotSupportedError, match="conflicts"):
            Document.objects.bulk_create([Document(title="a")], update_conflicts=True, update_fields=["category"])
    with pytest.raises(NotSupportedError, match="key"):
        Document.objects.filter(pk=contract.pk).update(id=9)
    with operation_context(user_id="nobody"), pytest.raises(InvalidArgument):
        Document.objects.filter(pk=contract.pk).update(title="b")
    Document.objects.bulk_create([Document(title="b")], ignore_conflicts=True)  # which changes no row
    assert kinds(Contract) == ["+"]


def test_the_last_record_of_a_child_holds_what_two_writers_have_made_of_it():
    """One changes the child's own column, and the other meanwhile its parent's."""
    if connection.vendor == "sqlite":
        pytest.skip("SQLite lets one write at a time")
    contract = Contract.objects.add(Contract(title="a"))
    failed = []

    def change_parent():
        try:
            Document.objects.filter(pk=contract.pk).update(title="b")
        except Exception as error:  # noqa: BLE001  # the test looks at it
            failed.append(error)
        finally:
            connection.close()

    with transaction.atomic():
        Contract.objects.filter(pk=contract.pk).update(party="p")
        thread = threading.Thread(target=change_parent)
        thread.start()
        thread.join(timeout=0.5)
    thread.join(timeout=20)
    assert not failed
    last = Contract.history.order_by("history_id").last()
    assert (last.title, last.party) == ("b", "p")
    assert kinds(Contract) == ["+", "~", "~"]
