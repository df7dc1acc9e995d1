"""Every way to write, in autocommit and inside a transaction: data and history agree, whoever wrote."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
from django import forms
from django.apps import apps
from django.contrib.auth import get_user_model
from django.core import serializers
from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Concat

from django_enterprise_repo import operation_context
from django_enterprise_repo.testing import capture_operations
from tests.db.auditing.inherited_paths import INHERITED
from tests.testapp.models import (
    Account,
    AliasedAccount,
    Audited,
    AuditedSeat,
    Building,
    Category,
    Entry,
    Labelled,
    Ledger,
    Mention,
    Numbered,
    Tower,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def user():
    return get_user_model().objects.create(username="ada")


def accounts(*names: str) -> list[Account]:
    return [Account.objects.add(Account(name=name, size=n)) for n, name in enumerate(names)]


class AccountForm(forms.ModelForm):
    class Meta:
        model = Account
        fields = ("name", "size")


def form_save():
    form = AccountForm({"name": "a", "size": 9}, instance=Account.objects.get_by(name="a"))
    assert form.is_valid()
    form.save()


def loaded(entity):
    entity.refresh_from_db()
    return entity


def save(entity, **changes):
    for name, value in changes.items():
        setattr(entity, name, value)
    entity.save()


def first(model: Any = Account) -> Any:
    return model._base_manager.order_by("pk").first()


# Each: name, what is there before, the write, and the history rows that it must leave, as (model, kind).
PATHS: list[tuple[str, Any, Any, list[tuple[Any, str]]]] = [
    ("add", lambda: None, lambda: Account.objects.add(Account(name="a")), [(Account, "+")]),
    ("save of a new one", lambda: None, lambda: Account(name="a").save(), [(Account, "+")]),
    ("create", lambda: None, lambda: Account.objects.create(name="a"), [(Account, "+")]),
    ("get_or_create", lambda: None, lambda: Account.objects.get_or_create(name="a"), [(Account, "+")]),
    (
        "update_or_create, new",
        lambda: None,
        lambda: Account.objects.update_or_create({"size": 4}, name="a"),
        [(Account, "+")],
    ),
    (
        "update_or_create, there",
        lambda: accounts("a"),
        lambda: Account.objects.update_or_create({"size": 4}, name="a"),
        [(Account, "~")],
    ),
    ("save", lambda: accounts("a"), lambda: save(first(), size=5), [(Account, "~")]),
    ("save some fields", lambda: accounts("a"), lambda: first().save(update_fields=["name"]), [(Account, "~")]),
    ("save of a proxy", lambda: accounts("a"), lambda: save(first(AliasedAccount), size=5), [(Account, "~")]),
    ("form", lambda: accounts("a"), form_save, [(Account, "~")]),
    ("update", lambda: accounts("a"), lambda: Account.objects.update(first(), size=5), [(Account, "~")]),
    ("update by key", lambda: accounts("a"), lambda: Account.objects.update(first().pk, size=5), [(Account, "~")]),
    (
        "update by expression",
        lambda: accounts("a"),
        lambda: Account.objects.update(first(), size=F("size") + 5),
        [(Account, "~")],
    ),
    (
        "update of a deferred one",
        lambda: accounts("a"),
        lambda: Account.objects.update(Account.objects.only("name").first(), note="x"),
        [(Account, "~")],
    ),
    (
        "commit_and_refresh",
        lambda: accounts("a"),
        lambda: Account.objects.commit_and_refresh(first()),
        [(Account, "~")],
    ),
    ("delete", lambda: accounts("a"), lambda: Account.objects.delete(first()), [(Account, "~")]),
    ("instance delete", lambda: accounts("a"), lambda: first().delete(), [(Account, "~")]),
    (
        "restore",
        lambda: Account.objects.delete(accounts("a")[0]),
        lambda: Account.objects.restore(first()),
        [(Account, "~")],
    ),
    ("hard delete", lambda: accounts("a"), lambda: Account.objects.delete(first(), hard=True), [(Account, "-")]),
    (
        "hard delete with a cascade",
        lambda: [Mention.objects.add(Mention(entry=Entry.objects.add(Entry(account=accounts("a")[0]))))],
        lambda: first().hard_delete(),
        [(Account, "-"), (Entry, "-"), (Mention, "~")],
    ),
    (
        "add_all",
        lambda: None,
        lambda: Account.objects.add_all([Account(name=n) for n in "abc"], batch_size=2),
        [(Account, "+")] * 3,
    ),
    (
        "bulk_create",
        lambda: None,
        lambda: Account.objects.bulk_create([Account(name=n) for n in "abc"]),
        [(Account, "+")] * 3,
    ),
    (
        "update_all",
        lambda: accounts("a", "b"),
        lambda: Account.objects.update_all({"size": {"lt": 2}}, size=F("size") + 7),
        [(Account, "~")] * 2,
    ),
    (
        "queryset update",
        lambda: accounts("a", "b", "c"),
        lambda: Account.objects.filter(size__gt=0).update(size=0, note=Concat(F("name"), Value("!"))),
        [(Account, "~")] * 2,
    ),
    (
        "update across a join",
        lambda: [Entry.objects.add(Entry(account=account)) for account in accounts("a", "b") for _ in range(2)],
        lambda: Account.objects.filter(entries__text="").update(size=3),
        [(Account, "~")] * 2,
    ),
    (
        "bulk_update",
        lambda: accounts("a", "b"),
        lambda: Account.objects.bulk_update([*Account.objects.all()], ["size"]),
        [(Account, "~")] * 2,
    ),
    (
        "delete_all",
        lambda: accounts("a", "b"),
        lambda: Account.objects.delete_all(everything=True),
        [(Account, "~")] * 2,
    ),
    (
        "queryset delete",
        lambda: accounts("a", "b"),
        lambda: Account.objects.filter(size=1).delete(),
        [(Account, "~")],
    ),
    (
        "restore_all",
        lambda: [accounts("a", "b"), Account.objects.delete_all(everything=True)],
        lambda: Account.objects.restore_all(everything=True),
        [(Account, "~")] * 2,
    ),
    (
        "delete_all for good",
        lambda: Entry.objects.add_all([Entry(account=a, text=a.name) for a in accounts("a", "b")]),
        lambda: Account.objects.delete_all(everything=True, hard=True),
        [(Account, "-"), (Account, "-"), (Entry, "-"), (Entry, "-")],
    ),
    (
        "queryset delete for good",
        lambda: AuditedSeat.objects.add_all([AuditedSeat(row="A", number=n) for n in range(5)]),
        lambda: AuditedSeat.objects.filter(number__gt=1).delete(),
        [(AuditedSeat, "-")] * 3,
    ),
    (
        "related set",
        lambda: [Entry.objects.add(Entry(text="x")), accounts("a")],
        lambda: first().entries.set(Entry.objects.all()),
        [(Entry, "~")],
    ),
    (
        "set null by a cascade",
        lambda: Mention.objects.add(Mention(entry=Entry.objects.add(Entry()))),
        lambda: Entry.objects.get_by(text="").delete(),
        [(Entry, "-"), (Mention, "~")],
    ),
    (
        "set default by a cascade",
        lambda: Mention.objects.add(Mention(fallback=Category.objects.create())),
        lambda: Category.objects.all().delete(),
        [(Mention, "~")],
    ),
    ("composite key: save", lambda: None, lambda: AuditedSeat(row="A", number=1).save(), [(AuditedSeat, "+")]),
    (
        "composite key: update",
        lambda: AuditedSeat.objects.add(AuditedSeat(row="A", number=1)),
        lambda: AuditedSeat.objects.update(first(AuditedSeat), price=5),
        [(AuditedSeat, "~")],
    ),
    (
        "composite key: update_all",
        lambda: AuditedSeat.objects.add_all([AuditedSeat(row="A", number=n) for n in (1, 2)]),
        lambda: AuditedSeat.objects.update_all({"row": "A"}, price=5),
        [(AuditedSeat, "~")] * 2,
    ),
    ("child: add", lambda: None, lambda: Tower.objects.add(Tower(address="x")), [(Tower, "+"), (Building, "+")]),
    (
        "child: add_all",
        lambda: None,
        lambda: Tower.objects.add_all([Tower(address="x"), Tower(address="y")]),
        [(Tower, "+"), (Building, "+")] * 2,
    ),
    (
        "child: update",
        lambda: Tower.objects.add(Tower(address="x")),
        lambda: Tower.objects.update(first(Tower), address="z"),
        [(Tower, "~"), (Building, "~")],
    ),
    (
        "child: update_all",
        lambda: Tower.objects.add_all([Tower(address="x"), Tower(address="y")]),
        lambda: Tower.objects.update_all({"address": "x"}, floors=3, address="z"),
        [(Tower, "~"), (Building, "~")],
    ),
    (
        "child: delete",
        lambda: Tower.objects.add(Tower(address="x")),
        lambda: Tower.objects.delete(first(Tower)),
        [(Tower, "-"), (Building, "-")],
    ),
    ("manager alone: add", lambda: None, lambda: Ledger.objects.add(Ledger(text="a")), [(Ledger, "+")]),
    ("manager alone: save", lambda: Ledger.objects.create(), lambda: save(first(Ledger), size=2), [(Ledger, "~")]),
    ("manager alone: delete", lambda: Ledger.objects.create(), lambda: first(Ledger).delete(), [(Ledger, "-")]),
    (
        "manager alone: update",
        lambda: Ledger.objects.create(),
        lambda: Ledger.objects.update(first(Ledger), size=F("size") + 1),
        [(Ledger, "~")],
    ),
    (
        "manager alone: sets",
        lambda: Ledger.objects.add_all([Ledger(size=n) for n in range(3)]),
        lambda: Ledger.objects.filter(size__gt=0).update(text="x"),
        [(Ledger, "~")] * 2,
    ),
    (
        "manager alone: queryset delete",
        lambda: Ledger.objects.add_all([Ledger(size=n) for n in range(3)]),
        lambda: Ledger.objects.filter(size__gt=0).delete(),
        [(Ledger, "-")] * 2,
    ),
    ("by objects: add", lambda: None, lambda: Labelled.objects.add(Labelled(name="a")), [(Labelled, "+")]),
    (
        "by objects: add_all",
        lambda: None,
        lambda: Labelled.objects.add_all([Labelled(name=n) for n in "ab"]),
        [(Labelled, "+")] * 2,
    ),
    (
        "by objects: update_all",
        lambda: Labelled.objects.add_all([Labelled(name=n) for n in "ab"]),
        lambda: Labelled.objects.update_all({"name": "a"}, name="c"),
        [(Labelled, "~")],
    ),
    (
        "by objects: delete_all",
        lambda: Labelled.objects.add_all([Labelled(name=n) for n in "ab"]),
        lambda: Labelled.objects.delete_all({"name": "a"}),
        [(Labelled, "-")],
    ),
    ("ids from Python: add", lambda: None, lambda: Numbered.objects.add(Numbered(name="a")), [(Numbered, "+")]),
    (
        "ids from Python: sets",
        lambda: Numbered.objects.add_all([Numbered(name=n) for n in "ab"]),
        lambda: Numbered.objects.update_all({"name": {"in": ["a", "b"]}}, name="c"),
        [(Numbered, "~")] * 2,
    ),
    ("plain history: add", lambda: None, lambda: Audited.objects.add(Audited(name="a")), [(Audited, "+")]),
    (
        "plain history: update",
        lambda: Audited.objects.add(Audited(name="a")),
        lambda: Audited.objects.update(first(Audited), size=F("size") + 1),
        [(Audited, "~")],
    ),
    (
        "plain history: sets",
        lambda: Audited.objects.add_all([Audited(name=n) for n in "ab"]),
        lambda: Audited.objects.update_all({"name": "a"}, size=3),
        [(Audited, "~")],
    ),
    (
        "plain history: soft delete of a set",
        lambda: Audited.objects.add_all([Audited(name=n) for n in "ab"]),
        lambda: Audited.objects.delete_all(everything=True),
        [(Audited, "~")] * 2,
    ),
    (
        "plain history: hard delete",
        lambda: Audited.objects.add_all([Audited(name=n) for n in "ab"]),
        lambda: Audited.objects.delete_all(everything=True, hard=True),
        [(Audited, "-")] * 2,
    ),
]


EVERY = [*PATHS, *INHERITED]
MODELS = apps.get_app_config("testapp").get_models()
AUDITED: list[Any] = [model for model in MODELS if hasattr(model._meta, "simple_history_manager_attribute")]


@pytest.mark.parametrize("nested", [False, True], ids=["autocommit", "nested"])
@pytest.mark.parametrize(("prepare", "write", "expected"), [row[1:] for row in EVERY], ids=[row[0] for row in EVERY])
def test_data_and_history_agree(prepare, write, expected, nested, user):
    prepare()
    before = {model: set(model.history.values_list("history_id", flat=True)) for model in AUDITED}

    with (
        transaction.atomic() if nested else nullcontext(),
        operation_context(user=user, reason="because", correlation_id="req-1"),
        capture_operations() as log,
    ):
        write()

    rows = [(model, row) for model in AUDITED for row in model.history.exclude(history_id__in=before[model])]
    assert sorted((model.__name__, row.history_type) for model, row in rows) == sorted(
        (model.__name__, kind) for model, kind in expected
    )
    operations = {operation.id: operation for operation in log if operation.spec.effect == "write"}
    for model, row in rows:
        assert (row.history_user_id, row.history_change_reason) == (user.pk, "because")
        if hasattr(row, "history_operation_id"):
            assert row.history_correlation_id == "req-1"
            is_by_django = model is Ledger and row.history_operation_id not in operations
            assert is_by_django or operations[row.history_operation_id].moment == row.history_date
        assert_same_values(model, row)


def assert_same_values(model: Any, row: Any) -> None:
    """The history row holds what the database holds now, or nothing is there any more."""
    names = [field.attname for field in row.tracked_fields if field.column]
    key = row.pk if False else {field.attname: getattr(row, field.attname) for field in _key_fields(model)}
    stored = model._base_manager.filter(**key).values(*names).first()
    if row.history_type == "-":
        assert stored is None
    else:
        assert {name: getattr(row, name) for name in names} == stored


def _key_fields(model: Any) -> Any:
    pk = model._meta.pk
    return pk.fields if hasattr(pk, "fields") else [pk]


def test_loaddata_leaves_the_history_to_the_fixture():
    (account,) = accounts("a")
    text = serializers.serialize("json", [account])
    before = Account.history.count()

    for item in serializers.deserialize("json", text):
        item.save()

    assert Account.history.count() == before
