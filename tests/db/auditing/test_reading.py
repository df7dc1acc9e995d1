"""The past of a repository's rows: versions, rows as they were, differences, and the way back."""

from __future__ import annotations

import datetime

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from django_enterprise_repo.exceptions import InvalidArgument, InvalidArgumentType, StaleObjectError
from django_enterprise_repo.testing import assert_queries, capture_operations
from tests.testapp.models import Account, Audited, AuditedSeat, Bare, Labelled, Tag, Tower

pytestmark = pytest.mark.django_db


@pytest.fixture
def account():
    account = Account.objects.add(Account(name="a", size=1, note="first"))
    return Account.objects.update(account, size=2, note="second")


def kinds(rows):
    return [(row.history_type, row.size) for row in rows]


def test_the_versions_of_a_row_newest_first(account):
    Account.objects.add(Account(name="other"))
    with capture_operations() as log, assert_queries(1):
        assert kinds(Account.objects.history(account.pk)) == [("~", 2), ("+", 1)]
    assert log.names == ["select"]
    assert Account.objects.history(account.pk).get(version=1).note == "first"
    assert list(Account.objects.history(-1)) == []


@pytest.mark.parametrize("model", [Account, Audited])
def test_rows_as_they_were_each_once_also_when_dates_tie(model):
    before = timezone.now()
    rows = model.objects.add_all([model(name=name) for name in "abc"])
    model.objects.update(rows[0], size=5)
    model.objects.delete(rows[1], hard=True)
    model.objects.delete(rows[2])
    model.history.update(history_date=before + datetime.timedelta(seconds=1))

    now = before + datetime.timedelta(seconds=2)
    assert [(row.name, row.size) for row in model.objects.as_of(now)] == [("a", 5)]
    assert {row.name for row in model.objects.as_of(now, include_deleted=True)} == {"a", "c"}
    assert model.objects.as_of(now).filter(pk=rows[0].pk).count() == 1
    assert list(model.objects.as_of(before)) == []


def test_a_moment_between_two_changes(account):
    first, second = reversed(Account.objects.history(account.pk))
    assert first.history_date < second.history_date
    (then,) = Account.objects.as_of(first.history_date)
    assert (then.pk, then.size, then.note) == (account.pk, 1, "first")
    with pytest.raises(InvalidArgumentType):
        Account.objects.as_of("2024-01-01")


def test_the_past_stays_inside_the_rows_of_a_queryset(account):
    other = Account.objects.add(Account(name="b"))
    inside = Account.objects.filter(name="b")

    assert inside.history(account.pk).count() == 0
    assert inside.history(other.pk).count() == 1
    assert [row.name for row in inside.as_of(timezone.now())] == ["b"]
    with pytest.raises(Account.history.model.DoesNotExist):
        inside.revert_to(account.pk, Account.objects.history(account.pk).last())


def test_composite_keys_and_inherited_tables_have_a_past():
    seat = AuditedSeat.objects.add(AuditedSeat(row="A", number=1))
    AuditedSeat.objects.add(AuditedSeat(row="A", number=2))
    AuditedSeat.objects.update(seat, price=7)
    assert [row.price for row in AuditedSeat.objects.history(("A", 1))] == [7, 0]
    assert [row.price for row in seat.history.all()] == [7, 0]
    assert sorted(row.pk for row in AuditedSeat.objects.as_of(timezone.now())) == [("A", 1), ("A", 2)]
    assert AuditedSeat.objects.as_of(timezone.now()).filter(pk=("A", 1)).get().price == 7

    tower = Tower.objects.add(Tower(address="x", floors=3))
    Tower.objects.update(tower, address="y", floors=4)
    oldest = Tower.objects.history(tower.pk).last()
    assert Tower.objects.revert_to(tower.pk, oldest).address == "x"
    assert Tower.objects.get(tower.pk).floors == 3


def test_what_differs_between_versions(account):
    second, first = Account.objects.history(account.pk)
    changed = {difference.field: difference[1:] for difference in Account.objects.diff(account.pk, first, second)}
    assert (changed["size"], changed["note"], changed["version"]) == ((1, 2), ("first", "second"), (1, 2))
    assert "name" not in changed
    assert Account.objects.diff(account.pk, first.history_id) == Account.objects.diff(account.pk, first, second)
    assert Account.objects.diff(account.pk, second) == []
    Account.objects.delete(account)
    assert "deleted_at" in {difference.field for difference in Account.objects.diff(account.pk, second)}


def test_many_to_many_rows_differ_too():
    row = Labelled.objects.add(Labelled(name="a"))
    row.tags.add(Tag.objects.create(label="new"))
    latest, first = Labelled.objects.history(row.pk)
    (difference,) = Labelled.objects.diff(row.pk, first, latest)
    assert (difference.field, difference.old, len(difference.new)) == ("tags", [], 1)


def test_reverting_is_one_more_change(account):
    user = get_user_model().objects.create(username="ada")
    first = Account.objects.history(account.pk).last()
    Account.objects.filter(pk=account.pk).update(secret="kept")

    reverted = Account.objects.revert_to(account.pk, first, user=user, reason="a slip")

    stored = Account.objects.get(account.pk)
    assert (stored.size, stored.note, stored.secret, stored.version) == (1, "first", "kept", reverted.version)
    latest = Account.objects.history(account.pk).first()
    assert (latest.history_user, latest.history_change_reason, latest.version) == (user, "a slip", stored.version)
    assert Account.objects.history(account.pk).count() == 4
    with pytest.raises(StaleObjectError):
        account.save()


def test_reverting_restores_what_was_deleted(account):
    first = Account.objects.history(account.pk).last()
    Account.objects.delete(account)
    deleted = Account.objects.history(account.pk).first()

    with pytest.raises(InvalidArgument, match="soft-deleted"):
        Account.objects.revert_to(account.pk, deleted)
    assert Account.objects.revert_to(account.pk, first.history_id).deleted_at is None
    assert Account.objects.get(account.pk).deletion_id is None

    Account.objects.delete(account.pk, hard=True)
    with pytest.raises(InvalidArgument, match="deletion"):
        Account.objects.revert_to(account.pk, Account.objects.history(account.pk).first())
    back = Account.objects.revert_to(account.pk, first)
    assert (back.pk, back.size, Account.objects.get(account.pk).name) == (account.pk, 1, "a")
    assert Account.objects.history(account.pk).first().history_type == "+"
    assert back.version > max(Account.objects.history(account.pk).values_list("version", flat=True)[1:])


def test_what_has_no_past_says_so(account):
    other = Account.objects.add(Account(name="b"))
    with pytest.raises(InvalidArgument, match="no history"):
        Bare.objects.history(1)
    with pytest.raises(Account.history.model.DoesNotExist):
        Account.objects.diff(account.pk, Account.objects.history(other.pk).first())
    with pytest.raises(InvalidArgumentType):
        Account.objects.revert_to(account.pk, Audited.history.model(history_id=1))
    with pytest.raises(StaleObjectError):
        Account.objects.revert_to(account.pk, Account.objects.history(account.pk).last(), expected_version=1)
