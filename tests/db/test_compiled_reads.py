"""The statement that is compiled once answers what Django's own ``get(pk=…)`` would, and is left where it could not."""

from __future__ import annotations

import datetime
import threading
import uuid

import pytest
from django.db import connection, models
from django.db.models.signals import post_init
from django.test import override_settings
from django.test.utils import CaptureQueriesContext, isolate_apps

from django_enterprise_repo import Repository, RepositoryQuerySet
from django_enterprise_repo.caching.compiled import KeyedRead, keyed_read
from django_enterprise_repo.operations import active_operation
from tests.testapp.models import Bare, Item, Plain, Seat, Token, Tower

pytestmark = pytest.mark.django_db


def sent(call):
    with CaptureQueriesContext(connection) as queries:
        call()
    return [query["sql"] for query in queries]


def attributes(entity):
    return {name: value for name, value in vars(entity).items() if name != "_state"}


def assert_as_django(entity):
    by_hand = models.QuerySet(type(entity)).get(pk=entity.pk)
    read = type(entity).objects.get(entity.pk)
    assert (type(read), attributes(read)) == (type(by_hand), attributes(by_hand))
    assert (read._state.adding, read._state.db) == (by_hand._state.adding, by_hand._state.db)
    assert read._state.fields_cache == by_hand._state.fields_cache


def test_the_statement_is_django_s():
    row = Bare.objects.create(name="a")
    by_hand = sent(lambda: models.QuerySet(Bare).get(pk=row.pk))
    for call in (
        lambda: Bare.objects.get(row.pk),
        lambda: Bare.objects.get(pk=row.pk),
        lambda: Bare.objects.get_or_none(row.pk),
    ):
        assert sent(call) == by_hand


def test_a_model_s_own_from_db_is_given_what_django_gives_it(monkeypatch):
    row = Bare.objects.create(name="a")
    given = []

    def from_db(cls, *args, **kwargs):
        given.append((args, kwargs))
        return super(Bare, cls).from_db(*args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(Bare, "from_db", classmethod(from_db))
        patched.setattr(connection, "repository_reads", {}, raising=False)
        models.QuerySet(Bare).get(pk=row.pk)
        Bare.objects.get(row.pk)

    by_hand, ours = [(alias, list(names), list(values), kwargs) for (alias, names, values), kwargs in given]
    assert ours == by_hand


def test_a_fetch_mode_is_handed_on_where_django_has_no_helper_for_it(monkeypatch):
    """As it will be when Django no longer looks after older signatures."""
    row = Bare.objects.create(name="a")
    given = []

    def from_db(cls, alias, names, values, **kwargs):
        given.append(kwargs)
        return super(Bare, cls).from_db(alias, names, values)

    with monkeypatch.context() as patched:
        patched.setattr(models, "FETCH_ONE", "one", raising=False)
        patched.delattr(models.query, "_get_from_db", raising=False)
        patched.setattr(Bare, "from_db", classmethod(from_db))
        patched.setattr(connection, "repository_reads", {}, raising=False)
        assert Bare.objects.get(row.pk) == row

    assert given == [{"fetch_mode": "one"}]


def test_deleted_rows_stay_hidden():
    item = Item.objects.add(Item(name="a"))
    Item.objects.delete(item)
    assert Item.objects.get_or_none(item.pk) is None
    with pytest.raises(Item.DoesNotExist, match="Item matching query does not exist"):
        Item.objects.get(item.pk)
    assert Item.all_objects.get(item.pk).pk == item.pk


def test_rows_of_every_kind_come_as_django_makes_them():
    assert_as_django(Item.objects.add(Item(name="a", price="1.50")))
    assert_as_django(Token.objects.add(Token(name="a")))
    assert_as_django(Tower.objects.add(Tower(address="a")))


def test_composite_keys():
    seat = Seat.objects.create(row="a", number=2)
    assert Seat.objects.get(pk=("a", 2)).pk == seat.pk  # positional, it could be a lookup
    assert Seat.objects.get_or_none(("a", 1)) is None


@pytest.mark.parametrize("key", [2**63, -(2**63) - 1, 2**200, 0, -1])
def test_numbers_that_no_row_can_have(key):
    assert Plain.objects.get_or_none(key) is None
    with pytest.raises(Plain.DoesNotExist):
        Plain.objects.get(pk=key)


def test_keys_in_other_clothes():
    token = Token.objects.add(Token(name="a"))
    assert Token.objects.get(str(token.pk)) == token
    assert Token.objects.get(pk=str(token.pk)) == token
    assert Token.objects.get_or_none(uuid.uuid4()) is None


def test_who_hears_of_instances_hears_of_these():
    row = Plain.objects.create(name="a")
    heard = []

    def hear(instance, **signal):
        heard.append(instance.name)

    post_init.connect(hear, sender=Plain)
    try:
        Plain.objects.get(row.pk)
    finally:
        post_init.disconnect(hear, sender=Plain)
    assert heard == ["a"]


def test_a_setting_that_converters_look_at():
    item = Item.objects.add(Item(name="a"))
    assert Item.objects.get(item.pk).created_at.tzinfo is datetime.UTC
    with override_settings(USE_TZ=False):
        assert Item.objects.get(item.pk).created_at.tzinfo is None
    assert Item.objects.get(item.pk).created_at.tzinfo is datetime.UTC


@isolate_apps("tests.testapp")
def test_rows_that_somebody_has_a_say_in_are_read_by_their_queryset():
    class Loud(RepositoryQuerySet):
        def _fetch_all(self):
            asked.append("fetched")
            super()._fetch_all()

    class Narrow(Repository):
        def get_queryset(self):
            return super().get_queryset().filter(name="a")

    class Row(models.Model):
        name = models.CharField(max_length=50)
        objects = Narrow()
        loud = Repository.from_queryset(Loud)()

        class Meta:
            app_label = "testapp"
            db_table = Plain._meta.db_table

    asked: list[str] = []
    ours, theirs = Plain.objects.create(name="a"), Plain.objects.create(name="b")
    assert Row.objects.get_or_none(ours.pk) is not None
    assert Row.objects.get_or_none(theirs.pk) is None
    assert Row.loud.get(theirs.pk).name == "b"
    assert asked


@isolate_apps("tests.testapp")
def test_a_key_that_is_none_is_told_in_django_s_words():
    class View(models.Model):
        name = models.CharField(max_length=50, primary_key=True)
        objects = Repository()

        class Meta:
            app_label = "testapp"
            db_table = Plain._meta.db_table
            managed = False

    Plain.objects.bulk_create([Plain(name="a"), Plain(name="a")])
    with pytest.raises(View.MultipleObjectsReturned) as ours:
        View.objects.get("a")
    with pytest.raises(View.MultipleObjectsReturned) as theirs:
        models.QuerySet(View).get(pk="a")
    assert str(ours.value) == str(theirs.value)


def test_each_connection_has_its_own():
    reads: list[KeyedRead] = [keyed_read("default", Plain.objects)]
    thread = threading.Thread(target=lambda: reads.append(keyed_read("default", Plain.objects)))
    thread.start()
    thread.join()
    assert reads[0] is keyed_read("default", Plain.objects)
    assert reads[0].connection is not reads[1].connection


def test_a_backend_that_has_to_ask_its_server_for_the_statement_is_asked_within_the_operation(monkeypatch):
    compile_ = KeyedRead._compile
    running = []

    def compiling(self):
        running.append(active_operation("default"))
        return compile_(self)

    monkeypatch.setattr(connection, "repository_reads", {}, raising=False)
    monkeypatch.setattr(KeyedRead, "_compile", compiling)
    Plain.objects.get_or_none(1)
    Plain.objects.get_or_none(1)
    (operation,) = running
    assert operation.spec.name == "get_or_none"
