"""add, update, delete and restore of one entity."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.db.models import F, ProtectedError, RestrictedError
from django.db.models.signals import post_save

from django_enterprise_repo.exceptions import InvalidArgument, InvalidArgumentType
from django_enterprise_repo.testing import assert_queries
from tests.testapp.models import (
    Author,
    Bare,
    Book,
    Category,
    Comment,
    Declared,
    Flagged,
    Item,
    Loud,
    Plain,
    Prize,
    Ticket,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def user():
    return get_user_model().objects.create(username="ada")


def test_add_answers_the_entity_with_values_as_its_fields_hold_them():
    item = Item.objects.add(Item(name="pen", price="9.99"))

    assert item.price == Decimal("9.99")
    assert item.version == 1
    assert Item.objects.get(item.pk).name == "pen"


def test_add_never_overwrites_a_row_whose_key_is_taken():
    first = Bare.objects.add(Bare(name="first"))

    with pytest.raises(IntegrityError), transaction.atomic():
        Bare.objects.add(Bare(pk=first.pk, name="second"))

    assert Bare.objects.get(first.pk).name == "first"


def test_a_failed_add_leaves_the_entity_as_it_was():
    Bare.objects.add(Bare(name="taken"))
    entity = Bare(name="taken")

    with pytest.raises(IntegrityError), transaction.atomic():
        Bare.objects.add(entity)

    assert entity.pk is None
    assert entity._state.adding
    entity.name = "free"
    assert Bare.objects.add(entity).pk is not None


def test_add_validates_on_request():
    with pytest.raises(ValidationError):
        Bare.objects.add(Bare(name=""), validate=True)


@pytest.mark.parametrize("wrong", [None, 5, "x", Category(name="c"), Item])
def test_add_refuses_what_is_no_entity_of_the_model(wrong):
    with assert_queries(0), pytest.raises(InvalidArgumentType, match="Expected a testapp.Item"):
        Item.objects.add(wrong)


def test_update_writes_only_what_changed():
    item = Item.objects.add(Item(name="pen", stock=1))
    item.name = "changed in memory only"

    with assert_queries(1) as sent:
        Item.objects.update(item, stock=2)

    assert "stock" in sent[0]["sql"]
    assert "updated_at" in sent[0]["sql"]
    assert '"name"' not in sent[0]["sql"] and "`name`" not in sent[0]["sql"]
    assert Item.objects.get(item.pk).name == "pen"


def test_update_by_key_answers_the_entity():
    item = Item.objects.add(Item(name="pen"))

    changed = Item.objects.update(item.pk, {"name": "quill"}, stock="7")

    assert (changed.name, changed.stock, changed.version) == ("quill", 7, 2)


def test_update_without_changes_saves_the_whole_entity():
    item = Item.objects.add(Item(name="pen"))
    item.name = "quill"

    Item.objects.update(item)

    assert Item.objects.get(item.pk).name == "quill"


def test_update_reads_expressions_back():
    item = Item.objects.add(Item(name="pen", stock=1))

    Item.objects.update(item, stock=F("stock") + 5)

    assert item.stock == 6


def test_update_takes_a_relation_by_instance_or_key():
    item = Item.objects.add(Item(name="pen"))
    category = Category.objects.add(Category(name="office"))

    assert Item.objects.update(item, category=category).category_id == category.pk
    assert Item.objects.update(item, category_id=None).category_id is None


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"nope": 1}, "no column 'nope'"),
        ({"tags": []}, "no column 'tags'"),
        ({"id": 5}, "primary key"),
        ({"category__name": "x"}, "no column"),
    ],
)
def test_update_refuses_unknown_columns_before_any_sql(changes, complaint):
    item = Item.objects.add(Item(name="pen"))

    with assert_queries(0), pytest.raises(InvalidArgument, match=complaint):
        Item.objects.update(item, changes)


def test_update_refuses_an_unsaved_entity():
    with assert_queries(0), pytest.raises(InvalidArgument, match="not saved yet"):
        Item.objects.update(Item(name="pen"), stock=1)


def test_update_refuses_a_key_without_changes():
    with assert_queries(0), pytest.raises(InvalidArgument, match="at least one column"):
        Item.objects.update(1, None)


def test_update_refuses_a_value_the_field_cannot_read():
    item = Item.objects.add(Item(name="pen"))

    with assert_queries(0), pytest.raises(ValidationError):
        Item.objects.update(item, price="cheap")
    assert item.price == Decimal(1)


def test_update_of_a_vanished_row_says_so():
    bare = Bare.objects.add(Bare(name="a"))
    Bare.objects.filter(pk=bare.pk).delete()

    with pytest.raises(Bare.DoesNotExist):
        Bare.objects.update(bare, size=3)
    assert bare.size == 0


def test_columns_with_reserved_names_go_through_the_mapping():
    ticket = Ticket.objects.add(Ticket())

    with pytest.raises(InvalidArgument, match="mapping"):
        Ticket.objects.update(ticket, user="somebody")
    with pytest.raises(InvalidArgument, match="mapping"):
        Ticket.objects.update_all({"id": ticket.pk}, reason="because")

    Ticket.objects.update(ticket, {"user": "somebody", "reason": "because"}, reason="the operation's own")
    assert (ticket.user, ticket.reason) == ("somebody", "because")


def test_a_soft_delete_hides_the_row_and_says_who_did_it(user):
    item = Item.objects.add(Item(name="pen"))

    result = Item.objects.delete(item, user=user)

    assert result == (1, {"testapp.Item": 1})
    assert result.operation_id == item.deletion_id
    assert item.deleted_by_id == user.pk
    assert Item.objects.get_or_none(item.pk) is None
    assert Item.objects.get(item.pk, include_deleted=True).deleted_at is not None
    assert Item.all_objects.count() == 1


def test_deleting_twice_changes_nothing(user):
    item = Item.objects.add(Item(name="pen"))
    Item.objects.delete(item, user=user)
    before = Item.all_objects.values().get()

    assert Item.objects.delete(item) == (0, {})
    assert Item.all_objects.values().get() == before


def test_a_row_that_somebody_else_deleted_is_left_as_it_is():
    mine = Author.objects.add(Author(name="ann"))
    theirs = Author.objects.get(mine.pk)
    Author.objects.delete(theirs)

    assert Author.objects.delete(mine).total == 0
    assert mine.deletion_id == theirs.deletion_id


def test_restore_brings_the_row_back(user):
    item = Item.objects.add(Item(name="pen"))
    Item.objects.delete(item, user=user)

    assert Item.objects.restore(item.pk).total == 1
    assert Item.objects.restore(item.pk).total == 0

    back = Item.objects.get(item.pk)
    assert (back.deleted_at, back.deleted_by, back.deletion_id) == (None, None, None)


def test_restore_needs_a_marker():
    with pytest.raises(InvalidArgument, match="no soft-delete marker"):
        Bare.objects.restore(1)


def test_the_flag_is_a_marker_where_the_repository_says_auto():
    flagged = Flagged.objects.add(Flagged(name="a"))

    Flagged.objects.delete(flagged)

    assert flagged.is_active is False
    assert not Flagged.objects.exists(pk=flagged.pk)
    assert Flagged.objects.restore(flagged).total == 1
    assert Flagged.objects.get(flagged.pk).is_active


def test_a_declared_marker_takes_the_user_too(user):
    row = Declared.objects.add(Declared(name="a"))

    row_result = Declared.objects.delete(row, user_id=user.pk)

    assert row_result.total == 1
    assert (row.gone_through_id, row.gone_since is not None) == (user.pk, True)


def test_a_marker_is_found_on_a_plain_model():
    row = Plain.objects.add(Plain(name="a"))

    assert Plain.objects.delete(row).total == 1
    assert Plain.objects.count() == 0
    assert Plain.objects.with_deleted().count() == 1


def test_hard_deletes_remove_the_row():
    item = Item.objects.add(Item(name="pen"))

    assert Item.objects.delete(item, hard=True).total == 1
    assert Item.all_objects.count() == 0


def test_hard_delete_of_an_already_soft_deleted_row():
    item = Item.objects.add(Item(name="pen"))
    Item.objects.delete(item)

    item.hard_delete()

    assert Item.all_objects.count() == 0


def test_instance_delete_and_restore_take_the_write_path():
    item = Item.objects.add(Item(name="pen"))

    assert item.delete().total == 1
    assert Item.objects.count() == 0
    assert item.restore().total == 1
    assert Item.objects.count() == 1


def test_protect_refuses_and_nothing_is_written():
    author = Author.objects.add(Author(name="ann"))
    book = Book.objects.add(Book(title="b", author=author))

    with pytest.raises(ProtectedError):
        Author.objects.delete(author)
    assert author.deleted_at is None
    assert Author.objects.exists(pk=author.pk)

    Book.objects.delete(book)
    assert Author.objects.delete(author).total == 1, "a deleted row does not protect"


def test_restrict_refuses_also_from_a_hidden_relation():
    author = Author.objects.add(Author(name="ann"))
    Prize.objects.add(Prize(title="p", author=author))

    with pytest.raises(RestrictedError):
        author.delete()
    with pytest.raises(RestrictedError):
        Author.objects.filter(pk=author.pk).delete()


def test_cascade_children_stay():
    author = Author.objects.add(Author(name="ann"))
    Comment.objects.add(Comment(text="hm", author=author))

    Author.objects.delete(author)

    comment = Comment.objects.get_by(text="hm")
    assert comment is not None
    assert comment.author == author, "to-one shows deleted rows"


def test_overridden_methods_run():
    loud = Loud.objects.add(Loud(name="a"))
    Loud.objects.update(loud, name="b")
    assert Loud.objects.get(loud.pk).saves == 2

    assert Loud.objects.delete(loud).total == 1
    assert Category.objects.exists(name="goodbye b")


def test_a_failing_receiver_undoes_the_write(settings):
    def explode(**kwargs):
        raise RuntimeError("receiver")

    bare = Bare.objects.add(Bare(name="a"))
    post_save.connect(explode, sender=Bare)
    try:
        with pytest.raises(RuntimeError):
            Bare.objects.update(bare, name="b")
        with pytest.raises(RuntimeError):
            Bare.objects.add(Bare(name="c"))
    finally:
        post_save.disconnect(explode, sender=Bare)

    assert bare.name == "a"
    assert list(Bare.objects.values_list("name", flat=True)) == ["a"]


def test_where_no_concern_is_active_the_statements_are_djangos():
    with assert_queries(1):
        bare = Bare.objects.add(Bare(name="a"))
    with assert_queries(1):
        Bare.objects.update(bare, size=1)
    with assert_queries(1):
        Bare.objects.filter(pk=bare.pk).update(size=2)
    with assert_queries(1):
        bare.save()


@pytest.mark.parametrize("action", [lambda r: r.update(None, name="x"), lambda r: r.delete(None)])
def test_none_is_no_key(action):
    with assert_queries(0), pytest.raises(InvalidArgumentType):
        action(Item.objects)


def test_delete_of_a_repository_without_arguments_is_refused():
    with pytest.raises(TypeError, match="delete_all"):
        Item.objects.delete()


def test_commit_and_refresh():
    item = Item.objects.commit_and_refresh(Item(name="pen", price="3.5"))
    assert item.price == Decimal("3.50")

    item.stock = F("stock") + 2
    assert Item.objects.commit_and_refresh(item).stock == 2


def test_commit_and_refresh_durable_refuses_an_outer_transaction():
    with transaction.atomic(), pytest.raises(RuntimeError):
        Item.objects.commit_and_refresh(Item(name="pen"), durable=True)
    assert connection.needs_rollback is False
