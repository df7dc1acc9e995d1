"""Where a repository's rows end: narrowed repositories, slices, unions, predicates that bind nothing."""

from __future__ import annotations

import pytest
from django.db import NotSupportedError
from django.db.models import Manager, Q

from django_enterprise_repo import Repository, RepositoryQuerySet
from django_enterprise_repo.db import hooks
from django_enterprise_repo.exceptions import EmptyPredicate, InvalidArgument, InvalidArgumentType
from tests.testapp.models import Bare, Category, Item, Note, Plain, Tag, Ticket, Token

pytestmark = pytest.mark.django_db


class Narrow(Repository["Note"]):
    def get_queryset(self):
        return super().get_queryset().filter(tenant="t1")


@pytest.fixture
def narrow():
    repository = Narrow()
    repository.model = Note
    return repository


@pytest.mark.parametrize(
    "call",
    [
        lambda rows: rows.delete_all(),
        lambda rows: rows.order_by("text").delete_all(),
        lambda rows: rows.using("default").update_all(None, text="x"),
        lambda rows: rows.all().restore_all(),
        lambda rows: rows.filter(Q()).delete_all(),
        lambda rows: rows.exclude(pk=None).delete_all(),
        lambda rows: rows.filter(text__isnull=False).delete_all(),
        lambda rows: rows.delete_all({"id": {"is_null": False}}),
        lambda rows: rows.delete_all({"id": {"ne": None}}),
        lambda rows: rows.delete_all({"not": {"id": None}}),
    ],
)
def test_what_binds_nothing_is_refused(narrow, call):
    with pytest.raises(EmptyPredicate):
        call(narrow)


def test_what_binds_is_not_refused(narrow):
    Note.all_objects.add_all([Note(tenant=tenant, text=text) for tenant in ("t1", "t2") for text in "ab"])

    assert narrow.filter(deleted_at__isnull=True).delete_all() == 2
    assert narrow.filter(text="a").restore_all() == 1
    assert narrow.delete_all({"id": {"is_null": True}}) == 0
    assert Note.all_objects.filter(deleted_at=None).count() == 3


def test_a_slice_and_a_union_cannot_say_who_belongs_to_them():
    first, second = Bare.objects.add_all([Bare(name=name) for name in "ab"])
    with pytest.raises(InvalidArgument, match="slice"):
        Bare.objects.order_by("name")[:1].update(second, size=9)
    with pytest.raises((InvalidArgument, NotSupportedError)):
        Bare.objects.filter(pk=first.pk).union(Bare.objects.filter(pk=second.pk)).delete(first)
    assert Bare.objects.count({"size": 0}) == 2


def test_a_union_does_not_pretend_to_show_deleted_rows():
    rows = Item.objects.filter(name="a").union(Item.objects.filter(name="b"))
    with pytest.raises(NotSupportedError, match="union"):
        rows.with_deleted()


class Rows(RepositoryQuerySet["Bare"]):
    def list(self, *args, **kwargs):
        return [f"<{row.name}>" for row in super().list(*args, **kwargs)]


def test_a_repository_takes_the_verbs_that_its_queryset_overrides():
    repository = Repository.from_queryset(Rows)()
    repository.model = Bare
    Bare.objects.add(Bare(name="a"))

    assert repository.list() == repository.all().list() == ["<a>"]


def test_a_manager_made_of_a_queryset_cannot_delete_everything():
    manager = RepositoryQuerySet.as_manager()
    manager.model = Bare
    assert isinstance(manager, Manager)
    assert not hasattr(manager, "delete")
    assert RepositoryQuerySet.send_update.alters_data
    assert RepositoryQuerySet.send_bulk_create.alters_data


def test_a_configured_class_does_not_pass_for_the_one_it_came_from():
    assert Repository.configured(soft_delete=None).__name__ == "ConfiguredRepository"


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: Item.objects.delete(1, user=Category(pk=1)), InvalidArgumentType),
        (lambda: Item.objects.delete(1, user=Item), InvalidArgumentType),
        (lambda: Item.objects.update_all({"stock": 0}, category=Tag(pk=1)), InvalidArgumentType),
        (lambda: Item.objects.update_all({"stock": 0}, category=Category()), InvalidArgument),
        (lambda: Item.objects.update_all({"stock": 0}, name=Category(pk=1)), InvalidArgumentType),
        (lambda: Item.objects.update(1, version=9), InvalidArgument),
        (lambda: Item.objects.get_many(5), InvalidArgumentType),
        (lambda: Item.objects.get(1.9), InvalidArgument),
        (lambda: Item.objects.get(True), InvalidArgument),
        (lambda: Token.objects.get("nonsense"), InvalidArgument),
        (lambda: Item.objects.list(only="name"), InvalidArgumentType),
        (lambda: Item.objects.list(only=5), InvalidArgumentType),
        (lambda: Ticket.objects.get_by(using="x"), InvalidArgument),
    ],
)
def test_wrong_arguments_are_told_before_any_statement(call, error, django_assert_num_queries):
    with django_assert_num_queries(0), pytest.raises(error):
        call()


def test_some_columns_of_a_row_and_a_joined_relation_go_together():
    office = Category.objects.create(name="office")
    Item.objects.add(Item(name="a", category=office))
    (item,) = Item.objects.list(only=("name",), load=("category",))
    assert (item.name, item.category.name) == ("a", "office")


class Listening:
    def __init__(self):
        self.heard = []

    def statement(self, *args): ...
    def savepoint(self, *args): ...
    def before_commit(self, *args): ...
    def finished(self, connection, fate):
        self.heard.append(fate)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "write",
    [
        lambda: Bare.objects.filter(name="a").update(size=2),
        lambda: Bare.objects.bulk_update([*Bare.objects.all()], ["size"]),
        lambda: Bare.objects.filter(name="a").delete(),
        lambda: Bare.objects.get_by(name="a").delete(),
        lambda: Plain.objects.add(Plain(name="a")),
        lambda: Plain.objects.create(name="a").save() or Plain.objects.update(Plain.objects.get_by(name="a"), name="b"),
    ],
)
def test_the_end_of_every_write_is_told(write):
    Bare.objects.add(Bare(name="a"))
    listening = Listening()
    hooks.listen(listening)
    try:
        write()
    finally:
        hooks.ignore(listening)
    assert listening.heard
    assert set(listening.heard) == {"committed"}


def test_the_second_deletion_of_a_plain_row_changes_nothing():
    plain = Plain.objects.add(Plain(name="a"))
    stale = Plain.objects.get(plain.pk)
    assert Plain.objects.delete(plain).total == 1
    assert Plain.objects.delete(stale).total == 0
    assert stale.deleted_at == Plain.objects.get(plain.pk, include_deleted=True).deleted_at
