"""The operation ledger: one row for each operation that changed audited rows, in its transaction."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction
from django.db.models.signals import post_save
from django.test import override_settings

from django_enterprise_repo import operation_context
from django_enterprise_repo.ledger.models import Operation
from django_enterprise_repo.testing import assert_queries, capture_operations
from django_enterprise_repo.writing import operation_ledger
from tests.testapp.models import Account, Audited, Bare, Entry, Item, Tower

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _kept(_no_ledger):
    operation_ledger.keep_in(Operation)


@pytest.fixture
def user():
    return get_user_model().objects.create(username="ada")


def last():
    return Operation.objects.first()


def counts(operation):
    return operation.added, operation.changed, operation.deleted, operation.restored


def test_an_operation_is_written_down_whole(user):
    with operation_context(user=user, reason="import", correlation_id="req-1"), capture_operations() as log:
        Account.objects.add_all([Account(name=name) for name in "abc"])

    (operation,) = Operation.objects.all()
    assert (operation.pk, operation.moment) == (log[0].id, log[0].moment)
    assert (operation.verb, operation.model, counts(operation)) == ("add_all", "testapp.Account", (3, 0, 0, 0))
    assert (operation.user, operation.reason, operation.correlation_id) == (user, "import", "req-1")
    assert 0 < operation.duration.total_seconds() < 60
    rows = operation.rows()
    assert [row.name for row in rows[Account]] == ["a", "b", "c"]
    assert list(rows[Entry]) == []


@pytest.mark.parametrize("nested", [False, True], ids=["autocommit", "nested"])
@pytest.mark.parametrize(
    ("verb", "write", "expected"),
    [
        ("save", lambda: Account.objects.get(name="a").save(), (0, 1, 0, 0)),
        ("save", lambda: Account(name="new").save(), (1, 0, 0, 0)),
        ("update", lambda: Account.objects.update(Account.objects.get(name="a"), size=3), (0, 1, 0, 0)),
        ("update_all", lambda: Account.objects.update_all({"size": 0}, size=1), (0, 2, 0, 0)),
        ("update", lambda: Account.objects.filter(size=0).update(size=1), (0, 2, 0, 0)),
        ("delete_all", lambda: Account.objects.delete_all({"size": 0}), (0, 0, 2, 0)),
        ("delete", lambda: Account.objects.filter(size=0).delete(), (0, 0, 2, 0)),
        ("delete", lambda: Account.objects.delete(Account.objects.get(name="a")), (0, 0, 1, 0)),
        ("delete", lambda: Account.objects.get(name="a").hard_delete(), (0, 0, 2, 0)),
        ("restore_all", lambda: Account.objects.restore_all({"name": "gone"}), (0, 0, 0, 1)),
        ("get_or_create", lambda: Account.objects.get_or_create(name="new"), (1, 0, 0, 0)),
        ("update_or_create", lambda: Account.objects.update_or_create({"size": 2}, name="a"), (0, 1, 0, 0)),
        ("bulk_create", lambda: Account.objects.bulk_create([Account(name="new")]), (1, 0, 0, 0)),
        ("add", lambda: Tower.objects.add(Tower(address="x")), (1, 0, 0, 0)),
        ("update", lambda: Audited.objects.update(Audited.objects.get(name="a"), size=1), (0, 1, 0, 0)),
    ],
)
def test_every_verb_has_one_row(verb, write, expected, nested):
    first, _second, gone = Account.objects.add_all([Account(name=name) for name in ("a", "b", "gone")])
    Account.objects.delete(gone)
    Entry.objects.add(Entry(account=first))
    Audited.objects.add(Audited(name="a"))
    before = set(Operation.objects.values_list("pk", flat=True))

    with transaction.atomic():
        write() if nested else None
    if not nested:
        write()

    (operation,) = Operation.objects.exclude(pk__in=before)
    assert (operation.verb, counts(operation)) == (verb, expected)


def test_what_is_rolled_back_is_not_in_the_ledger():
    with pytest.raises(IntegrityError):
        Account.objects.add_all([Account(name="a"), Account(name="a")])
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        Account.objects.add(Account(name="b"))
        raise ZeroDivisionError
    assert not Operation.objects.exists()


def test_a_ledger_that_fails_takes_the_data_with_it(monkeypatch):
    def fail(*args):
        raise RuntimeError("no ledger today")

    monkeypatch.setattr(operation_ledger, "_write", fail)
    for write in (
        lambda: Account.objects.add(Account(name="a")),
        lambda: Account.objects.bulk_create([Account(name="a")]),
        lambda: Account(name="a").save(),
    ):
        with pytest.raises(RuntimeError):
            write()
    assert not Account.all_objects.exists()
    assert not Account.history.exists()


def test_what_receivers_write_belongs_to_the_operation():
    def follow(instance, **kwargs):
        Entry.objects.add(Entry(account=instance))

    post_save.connect(follow, sender=Account)
    try:
        Account.objects.add(Account(name="a"))
    finally:
        post_save.disconnect(follow, sender=Account)

    (operation,) = Operation.objects.all()
    assert counts(operation) == (2, 0, 0, 0)
    assert {model for model, rows in operation.rows().items() if rows} == {Account, Entry}


def test_reads_unaudited_models_and_writes_of_nothing_leave_no_row():
    Bare.objects.add(Bare(name="a"))
    Item.objects.add(Item(name="a"))
    Account.objects.list()
    Account.objects.update_all({"size": 5}, size=6)
    assert not Operation.objects.exists()


def test_without_the_ledger_nothing_is_paid():
    Account.objects.add(Account(name="a"))
    with capture_operations():
        operation_ledger.keep_in(None)
        with assert_queries(1):
            Account.objects.get(name="a")
    assert Operation.objects.count() == 1


@override_settings(ROOT_URLCONF="testproject.urls")
def test_the_admin_shows_operations_and_the_rows_behind_them(admin_client, user):
    first, second = Account.objects.add_all([Account(name=name) for name in "ab"], reason="<b>import</b>", user=user)
    Account.objects.delete(first, hard=True)
    added = Operation.objects.get(verb="add_all")

    listing = admin_client.get("/admin/enterprise_repo_ledger/operation/").content.decode()
    assert "&lt;b&gt;import" in listing
    page = admin_client.get(f"/admin/enterprise_repo_ledger/operation/{added.pk}/change/").content.decode()
    assert "Created" in page
    assert f"/testapp/account/{second.pk}/" in page or f">{second.pk}<" in page
    found = admin_client.get(f"/admin/enterprise_repo_ledger/operation/?q={added.pk}").content.decode()
    assert "1 operation" in found
    assert admin_client.get("/admin/enterprise_repo_ledger/operation/add/").status_code == 403
    assert admin_client.post(f"/admin/enterprise_repo_ledger/operation/{added.pk}/delete/").status_code == 403


@override_settings(ROOT_URLCONF="testproject.urls")
def test_rows_are_shown_to_those_who_may_see_them(client, user):
    from django.contrib.auth.models import Permission

    Account.objects.add(Account(name="a"))
    user.is_staff = True
    user.save()
    user.user_permissions.add(Permission.objects.get(codename="view_operation"))
    client.force_login(user)

    page = client.get(f"/admin/enterprise_repo_ledger/operation/{last().pk}/change/").content.decode()

    assert "Created" not in page
    assert "no history rows" in page
