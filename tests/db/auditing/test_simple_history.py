"""simple-history's own admin, queries, helpers and commands on the tables of an ``AuditTrail``."""

from __future__ import annotations

import datetime

import pytest
from django.core.management import call_command
from django.utils import timezone
from simple_history.utils import bulk_create_with_history, bulk_update_with_history, update_change_reason

from django_enterprise_repo.testing import capture_operations
from tests.testapp.models import Account, Entry, Ledger

pytestmark = pytest.mark.django_db


@pytest.fixture
def account():
    account = Account.objects.add(Account(name="a", size=1), reason="made")
    return Account.objects.update(account, size=2, reason="changed")


def test_its_queries(account):
    newest, oldest = account.history.all()
    assert (oldest.size, newest.prev_record, oldest.next_record) == (1, oldest, newest)
    assert [change.field for change in newest.diff_against(oldest).changes] == ["size"]
    assert Account.history.as_of(timezone.now()).get(pk=account.pk).size == 2
    assert account.history.as_of(oldest.history_date).size == 1
    assert account.history.most_recent().size == 2
    assert str(newest).endswith(str(newest.history_date))
    account.delete()
    assert account.history.first().deleted_at is not None


def test_no_duplicates_when_dates_tie():
    Account.objects.add_all([Account(name=name) for name in "ab"])
    Account.objects.update_all({"size": 0}, size=1)
    Account.history.update(history_date=timezone.now())
    assert sorted(row.size for row in Account.history.as_of(timezone.now())) == [1, 1]
    assert Account.history.latest_of_each().count() == 2


def test_its_admin(account, admin_client):
    page = admin_client.get(f"/admin/testapp/account/{account.pk}/history/").content.decode()
    assert "changed" in page
    assert "made" in page
    oldest = account.history.last()
    url = f"/admin/testapp/account/{account.pk}/history/{oldest.pk}/"
    assert admin_client.get(url).status_code == 200


def test_its_helpers_know_the_operation():
    with capture_operations():
        created = bulk_create_with_history([Ledger(text="a"), Ledger(text="b")], Ledger)
    created[0].size = 5
    bulk_update_with_history(created[:1], Ledger, ["size"])
    update_change_reason(created[0], "told later")
    assert Ledger.history.count() == 3, "one row a change, although both keep the history"
    assert not Ledger.history.filter(history_operation_id=None).exists()
    assert Ledger.history.filter(history_change_reason="told later").count() == 1


def test_its_commands(capsys):
    rows = Entry.objects.add_all([Entry(text=text) for text in "abc"])
    Entry.history.all().delete()
    call_command("populate_history", "testapp.Entry", verbosity=0)
    assert Entry.history.count() == 3

    Entry.objects.update(rows[0], text="a")
    call_command("clean_duplicate_history", "testapp.Entry", verbosity=0)
    assert Entry.history.filter(id=rows[0].pk).count() == 1

    Entry.history.update(history_date=timezone.now() - datetime.timedelta(days=60))
    call_command("clean_old_history", "testapp.Entry", days=30, verbosity=0)
    assert Entry.history.count() == 0


def test_saving_without_a_record_is_obeyed(account):
    account.size = 9
    account.save_without_historical_record()
    assert Account.history.count() == 2
    account.save()
    assert Account.history.count() == 3


def test_switched_off_it_records_nothing(settings, account):
    settings.SIMPLE_HISTORY_ENABLED = False
    Account.objects.update(account, size=5)
    Account.objects.update_all({"size": 5}, size=6)
    Entry.objects.add_all([Entry(text="x")])
    assert Entry.objects.filter(text="x").delete()[0] == 1
    Account.objects.delete_all({"size": 6}, hard=True)
    assert (Account.all_objects.count(), Account.history.count(), Entry.history.count()) == (0, 2, 0)
