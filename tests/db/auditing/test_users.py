"""Users by key, lazy users, nobody at all, and reasons of every length."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.utils.functional import SimpleLazyObject

from django_enterprise_repo import operation_context
from django_enterprise_repo.context import acting_user
from django_enterprise_repo.exceptions import InvalidArgument, InvalidArgumentType
from django_enterprise_repo.testing import assert_queries
from tests.db.auditing.views import told
from tests.testapp.models import Account, Audited, AuditedSeat, Bare, Item, Labelled, Ledger, Tower

pytestmark = pytest.mark.django_db
in_autocommit = pytest.mark.django_db(transaction=True)


# user_id.


@pytest.mark.parametrize(
    "key",
    [lambda user: user.pk, lambda user: str(user.pk), lambda user: "ada", lambda user: user.natural_key()],
    ids=["key", "key as text", "natural key", "natural key as Django gives it"],
)
def test_a_user_id_is_a_key_or_a_natural_key(ada, key):
    with operation_context(user_id=key(ada)):
        account = Account.objects.add(Account(name="a"))
    Account.objects.update(account, size=1, user_id=key(ada))
    Account.objects.update_all({"name": "a"}, size=2, user_id=key(ada))

    assert [user for user, *_ in told()] == ["ada"] * 3


UNKNOWN = {
    "no such key": 2**40,
    "beyond every key": 2**70,
    "no such name": "nobody",
    "digits": "9" * 50,
    "NUL": "a\x00b",
    "bytes": b"ada",
    "no parts": (),
    "too many parts": ("ada", "bob"),
    "something else": object(),
}

SINGLE = {
    Account: {"name": "a"},
    Audited: {"name": "a"},
    AuditedSeat: {"row": "A", "number": 1},
    Labelled: {"name": "a"},
    Tower: {"address": "a"},
}


@pytest.mark.parametrize("user_id", UNKNOWN.values(), ids=UNKNOWN)
def test_what_is_no_user_is_an_error(ada, user_id):
    with pytest.raises(InvalidArgument, match="neither a primary key nor a natural key"):
        Account.objects.add(Account(name="a"), user_id=user_id)
    assert (Account.objects.count(), Account.history.count()) == (0, 0)


@in_autocommit
def test_an_unknown_user_is_an_error_before_anything_is_written(ada):
    account = Account.objects.add(Account(name="there"))
    told_before = told()
    changed = Account.objects.get(account.pk)
    changed.size = 5

    for write in (
        lambda: Account.objects.add(Account(name="a"), user_id="nobody"),
        lambda: Account.objects.update(account, size=5, user_id="nobody"),
        lambda: Account.objects.delete(account, user_id="nobody"),
        lambda: Account.objects.delete(account, hard=True, user_id="nobody"),
        lambda: Account.objects.add_all([Account(name="a"), Account(name="b")], user_id="nobody"),
        lambda: Account.objects.update_all({"name": "there"}, size=5, user_id="nobody"),
        lambda: Account.objects.delete_all({"name": "there"}, user_id="nobody"),
        lambda: Account.objects.delete_all({"name": "there"}, hard=True, user_id="nobody"),
        operation_context(user_id="nobody")(changed.save),
        operation_context(user_id="nobody")(changed.delete),
        operation_context(user_id="nobody")(Account(name="a").save),
        operation_context(user_id="nobody")(lambda: Account.objects.filter(name="there").update(size=5)),
        operation_context(user_id="nobody")(lambda: Account.objects.filter(name="there").delete()),
        operation_context(user_id="nobody")(lambda: Account.objects.bulk_create([Account(name="a")])),
    ):
        with pytest.raises(InvalidArgument):
            write()
    assert list(Account.all_objects.values_list("name", "size", "deleted_at")) == [("there", 0, None)]
    assert told() == told_before


@in_autocommit
def test_an_unknown_user_leaves_no_row_of_any_model(ada):
    for model, values in SINGLE.items():
        for write in (lambda it: it.save(), model.objects.add, lambda it: model.objects.add_all([it])):  # noqa: B023
            with pytest.raises(InvalidArgument), operation_context(user_id="nobody"):
                write(model(**values))
        assert (model._base_manager.count(), model.history.count()) == (0, 0)


def test_an_unknown_user_of_a_manager_alone_is_an_error_of_its_verbs(ada):
    for write in (
        lambda: Ledger.objects.add(Ledger()),
        lambda: Ledger.objects.add_all([Ledger()]),
    ):
        with pytest.raises(InvalidArgument), operation_context(user_id="nobody"):
            write()
    assert (Ledger.objects.count(), Ledger.history.count()) == (0, 0)


def test_a_user_who_is_recorded_nowhere_is_not_looked_up():
    with assert_queries(1):
        Bare.objects.add(Bare(name="a"), user_id="nobody")
    item = Item.objects.add(Item(name="a"))
    with pytest.raises(InvalidArgument):
        Item.objects.delete(item, user_id="nobody")
    assert Item.objects.exists(pk=item.pk)


def test_a_user_id_is_looked_up_once_a_context(ada):
    with operation_context(user_id="ada"):
        Account.objects.add(Account(name="a"))
        assert acting_user("default") == ada
        with assert_queries(0):
            acting_user("default")


# Lazy users and nobody.


@pytest.mark.parametrize(
    "nobody",
    [AnonymousUser(), SimpleLazyObject(AnonymousUser), SimpleLazyObject(lambda: SimpleLazyObject(AnonymousUser))],
    ids=["anonymous", "lazy", "lazier"],
)
def test_an_anonymous_user_is_nobody(nobody):
    for _ in range(2):  # asleep, then awake
        with operation_context(user=nobody):
            Account.objects.add_all([Account(name="a")])
            Account.objects.delete_all({"name": "a"}, hard=True)
            Item.objects.delete(Item.objects.add(Item(name="a")))

    assert told() == [(None, None, None)] * 4
    assert {item.deleted_by for item in Item.all_objects.all()} == {None}


def test_a_lazy_user_is_woken_by_the_first_record(ada):
    woken = []

    def wake():
        woken.append(1)
        return ada

    with operation_context(user=SimpleLazyObject(wake)):
        Bare.objects.add(Bare(name="a"))
        assert Account.objects.count() == 0
        assert woken == []
        Account.objects.add(Account(name="a"))
        Account.objects.filter(name="a").update(size=1)
    assert woken == [1]
    assert told() == [("ada", None, None)] * 2


def test_a_lazy_stand_in_for_no_user_is_an_error_before_the_write():
    with pytest.raises(InvalidArgumentType, match="not str"), operation_context(user=SimpleLazyObject(lambda: "ada")):
        Account.objects.add(Account(name="a"))
    with pytest.raises(InvalidArgument, match="saved"), operation_context(user=SimpleLazyObject(get_user_model())):
        Account.objects.add(Account(name="a"))
    assert Account.objects.count() == 0


# Reasons.


def test_a_trail_keeps_a_reason_of_any_length_and_a_plain_history_what_fits(ada):
    reason = "Σ" * 10_000

    with operation_context(reason=reason):
        account, audited = Account.objects.add(Account(name="a")), Audited.objects.add(Audited(name="a"))
        for model, entity in ((Account, account), (Audited, audited)):
            model.objects.update_all({"name": "a"}, size=1)
            entity.refresh_from_db()
            model.objects.delete(entity, hard=True)

    assert [kept for _, kept, _ in told()] == [reason] * 3
    assert [kept for _, kept, _ in told(Audited)] == ["Σ" * 99 + "…"] * 3


@pytest.mark.parametrize("length", [0, 1, 99, 100])
def test_a_reason_that_fits_is_not_touched(length):
    Audited.objects.add(Audited(name="a"), reason="x" * length)

    assert told(Audited) == [(None, "x" * length, None)]
