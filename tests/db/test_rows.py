"""Reads, and the rows that every verb stays inside: scopes, relations, querysets."""

from __future__ import annotations

import pickle

import pytest
from django.db import transaction
from django.db.models import Count, Prefetch, Q

from django_enterprise_repo import Repository, RepositoryQuerySet
from django_enterprise_repo.exceptions import EmptyPredicate, InvalidArgument, InvalidArgumentType
from django_enterprise_repo.testing import assert_queries
from tests.testapp.models import Author, Bare, Book, Category, Item, Note, Seat, Tag, Token, current_tenant

pytestmark = pytest.mark.django_db


@pytest.fixture
def items():
    office = Category.objects.add(Category(name="office"))
    return Item.objects.add_all([Item(name=f"item {n}", stock=n, category=office if n % 2 else None) for n in range(6)])


def test_a_positional_value_is_a_primary_key(items):
    assert Item.objects.get(items[2].pk) == items[2]
    assert Item.objects.filter(stock__gt=1).get(str(items[2].pk)) == items[2]
    assert items[0].category is None
    with pytest.raises(Item.DoesNotExist):
        Item.objects.filter(stock__gt=3).get(items[2].pk)


def test_django_conditions_stay_djangos(items):
    assert Item.objects.get(Q(stock=3)) == items[3]
    assert Item.objects.get(("stock", 3)) == items[3]
    assert Item.objects.get(stock=3, name="item 3") == items[3]
    assert Item.objects.get(pk=items[3].pk) == items[3]
    assert Item.objects.get(pk=items[3].pk, load=("category",)).category.name == "office"


@pytest.mark.parametrize("wrong", [None, Category(name="c")])
def test_what_cannot_be_a_key_is_refused(wrong):
    with assert_queries(0), pytest.raises(InvalidArgumentType):
        Item.objects.get(wrong)


def test_text_that_is_no_key_is_refused():
    with assert_queries(0), pytest.raises(InvalidArgument, match="no primary key"):
        Item.objects.get("abc")


def test_get_many_answers_in_the_order_asked_for(items):
    found = Item.objects.get_many([items[4].pk, 999_999, str(items[1].pk)])
    assert list(found) == [items[4].pk, items[1].pk]
    assert Item.objects.get_many([]) == {}


def test_get_by(items):
    assert Item.objects.get_by(stock=2) == items[2]
    assert Item.objects.get_by({"stock": {"gt": 4}}) == items[5]
    assert Item.objects.get_by({"stock": {"gt": 4}}, name="nope") is None
    assert Item.objects.get_by(category=items[1].category, stock=3) == items[3]
    with pytest.raises(Item.MultipleObjectsReturned):
        Item.objects.get_by({"stock": {"gt": 3}})
    for call in (lambda: Item.objects.get_by(), lambda: Item.objects.get_by(stock__gt=4)):
        with assert_queries(0), pytest.raises(InvalidArgument):
            call()


def test_count_and_exists_take_dicts_and_columns(items):
    assert Item.objects.count() == 6
    assert Item.objects.count({"stock": {"lt": 3}}) == 3
    assert Item.objects.count({"stock": {"lt": 3}}, category=None) == 2
    assert Item.objects.filter(stock__gt=1).count({"stock": {"lt": 3}}) == 1
    assert Item.objects.exists(stock=5)
    assert not Item.objects.exists({"stock": 50})


def test_list_is_materialised_and_ordered_by_the_policy(items):
    with assert_queries(1):
        rows = Item.objects.list({"category": "office"})
    with assert_queries(0):
        assert [row.name for row in rows] == ["item 1", "item 3", "item 5"]


def test_list_keeps_an_order_that_the_queryset_has(items):
    assert [row.stock for row in Item.objects.order_by("-stock").list()] == [5, 4, 3, 2, 1, 0]
    assert [row.stock for row in Item.objects.order_by("category").list(order_by=["stock:desc"])][0] == 5


def test_only_loads_fewer_columns(items):
    with assert_queries(1) as sent:
        Item.objects.list(only=("name",))
    assert "price" not in sent[0]["sql"]


def test_load_joins_to_one_and_prefetches_to_many(items):
    tag = Tag.objects.add(Tag(label="red"))
    items[1].tags.add(tag)

    with assert_queries(2):
        rows = Item.objects.list({"stock": {"lt": 4}}, load=("category", "tags"))
        assert [(row.category and row.category.name, [t.label for t in row.tags.all()]) for row in rows][1] == (
            "office",
            ["red"],
        )
    with assert_queries(2):
        [category] = Category.objects.list(load=(Prefetch("items", Item.objects.filter(stock=1)),))
        assert [item.stock for item in category.items.all()] == [1]
    with assert_queries(3):
        Tag.objects.list(load=("items__category",))


@pytest.mark.parametrize("wrong", [("nope",), ("name",), ("category__nope",)])
def test_load_refuses_what_is_no_relation(wrong):
    with assert_queries(0), pytest.raises(InvalidArgument, match="no relation"):
        Item.objects.list(load=wrong)


@pytest.mark.parametrize("wrong", ["category", (5,)])
def test_load_refuses_other_types(wrong):
    with assert_queries(0), pytest.raises(InvalidArgumentType):
        Item.objects.list(load=wrong)


def test_stream_yields_every_row_in_pieces(items):
    assert [row.pk for row in Item.objects.stream(chunk_size=4)] == [item.pk for item in items]
    assert [row.stock for row in Item.objects.stream({"stock": {"gte": 4}})] == [4, 5]
    assert len(list(Item.objects.stream(load=("tags",), chunk_size=2))) == 6


def test_stream_in_another_order_needs_a_driver_that_can(items, vendor):
    if vendor == "mariadb":
        with assert_queries(0), pytest.raises(InvalidArgument, match="primary key"):
            Item.objects.stream(order_by=["stock:desc"])
    else:
        assert [row.stock for row in Item.objects.stream(order_by=["stock:desc"])] == [5, 4, 3, 2, 1, 0]


@pytest.mark.parametrize("wrong", [0, -1, True, "5", None])
def test_stream_refuses_odd_chunks(wrong):
    with assert_queries(0), pytest.raises(InvalidArgument, match="chunk_size"):
        Item.objects.stream(chunk_size=wrong)


def test_locking_reads(items, vendor):
    with transaction.atomic(), assert_queries(1) as sent:
        Item.objects.get(items[0].pk, for_update=True)
    assert vendor == "sqlite" or "FOR UPDATE" in sent[0]["sql"]

    with transaction.atomic(), assert_queries(1) as sent:
        Item.objects.get(items[0].pk, for_update=True, skip_locked=vendor != "sqlite")
    assert vendor == "sqlite" or "SKIP LOCKED" in sent[0]["sql"]

    with assert_queries(0), pytest.raises(InvalidArgument, match="for_update"):
        Item.objects.get(items[0].pk, nowait=True)


# Soft-deleted rows.


def test_who_sees_deleted_rows():
    author = Author.objects.add(Author(name="ann"))
    book = Book.objects.add(Book(title="b", author=author))
    Book.objects.delete(book)
    Author.objects.delete(author)

    assert list(Author.objects.all()) == []
    assert Author.objects.with_deleted().count() == 1
    assert Author.objects.filter(name="ann").only_deleted().count() == 1
    assert (Author.objects.filter(name="x") | Author.objects.filter(name="ann")).with_deleted().count() == 1
    assert list(author.books.all()) == [], "to-many hides"
    assert author.books.with_deleted().get().author == author, "to-one shows"
    assert author.books.list(include_deleted=True) == [book]
    assert Book.objects.with_deleted().select_related("author").get().author.name == "ann"
    book.refresh_from_db()
    assert Author.objects.with_deleted().aggregate(n=Count("books"))["n"] == 1


def test_every_read_method_hides(items):
    Item.objects.delete(items[0])
    alive = Item.objects
    assert alive.count() == len(alive.all()) == len(alive.in_bulk()) == len(list(alive.iterator())) == 5
    assert not alive.filter(pk=items[0].pk).exists()
    assert alive.order_by("stock").first() == items[1]
    assert alive.earliest("stock") == items[1]
    assert not alive.all().contains(items[0])
    assert alive.aggregate(n=Count("pk"))["n"] == 5
    assert list(alive.values_list("stock", flat=True).order_by("stock")) == [1, 2, 3, 4, 5]
    assert alive.filter(stock=0).union(alive.filter(stock=1)).count() == 1
    assert [*alive.order_by("stock")[:2]] == items[1:3]


# Scopes.


@pytest.fixture
def notes():
    created = [Note(tenant="a", text="of a"), Note(tenant="b", text="of b")]
    Note.all_objects.add_all(created)
    token = current_tenant.set("a")
    yield created
    current_tenant.reset(token)


def test_every_verb_obeys_the_scope(notes):
    ours, theirs = notes
    assert Note.objects.list() == [ours]
    assert Note.objects.get_or_none(theirs.pk) is None
    assert Note.objects.get_many([ours.pk, theirs.pk]) == {ours.pk: ours}
    assert Note.objects.count() == 1
    assert [note.pk for note in Note.objects.stream()] == [ours.pk]
    for refused in (
        lambda: Note.objects.update(theirs, text="x"),
        lambda: Note.objects.update(theirs.pk, {"text": "x"}),
        lambda: Note.objects.delete(theirs),
        lambda: Note.objects.delete(theirs.pk, hard=True),
        lambda: Note.objects.restore(theirs),
        lambda: Note.objects.commit_and_refresh(theirs),
    ):
        with pytest.raises(Note.DoesNotExist):
            refused()
    assert Note.objects.update_all(everything=True, text="changed") == 1
    assert Note.objects.delete_all(everything=True) == 1
    assert Note.objects.restore_all(everything=True) == 1
    theirs.refresh_from_db()
    assert (theirs.text, theirs.deleted_at) == ("of b", None)


def test_the_scope_is_no_predicate(notes):
    for rows in (Note.objects, Note.objects.all(), Note.objects.with_deleted(), Note.objects.order_by("text")):
        with assert_queries(0), pytest.raises(EmptyPredicate):
            rows.delete_all()
    assert Note.objects.filter(text="of a").delete_all() == 1


def test_with_deleted_stays_in_the_scope(notes):
    ours, _theirs = notes
    Note.objects.delete(ours)
    assert Note.objects.with_deleted().list() == [ours]


def test_narrowing_in_get_queryset_counts_as_scope():
    class Small(Repository):
        def get_queryset(self):
            return super().get_queryset().filter(size__lt=5)

    Bare.objects.add_all([Bare(name="small", size=1), Bare(name="large", size=9)])
    small = Small()
    small.model = Bare
    with assert_queries(0), pytest.raises(EmptyPredicate):
        small.delete_all()
    with pytest.raises(Bare.DoesNotExist):
        small.update(Bare.objects.get_by(name="large"), size=0)
    assert small.delete_all(everything=True) == 1
    assert Bare.objects.count() == 1


# Relations.


def test_related_managers_stay_inside_the_relation(items):
    office = items[1].category
    other = Category.objects.add(Category(name="other"))

    assert [item.stock for item in office.items.list({"stock": {"gt": 1}})] == [3, 5]
    assert office.items.get(items[3].pk) == items[3]
    assert other.items.get_or_none(items[3].pk) is None
    assert office.items.count({"stock": 5}) == 1
    assert office.items.sort_by("stock:desc")[0].stock == 5
    for refused in (
        lambda: other.items.update(items[3], stock=9),
        lambda: other.items.update(items[3].pk, {"stock": 9}),
        lambda: other.items.delete(items[3]),
    ):
        with pytest.raises(Item.DoesNotExist):
            refused()
    assert office.items.update(items[3], stock=33).stock == 33
    assert office.items.update_all(stock=7) == 3, "the relation is a predicate"
    assert office.items.delete_all() == 3
    assert Item.objects.count() == 3


def test_djangos_verbs_of_related_managers_keep_their_meaning(items):
    other = Category.objects.add(Category(name="other"))

    other.items.add(items[0], items[2])
    assert {item.version for item in other.items.all()} == {2}, "add() took the write path"
    other.items.remove(items[0])
    created = other.items.create(name="new")
    assert created.category == other
    other.items.set([items[4]])
    assert list(other.items.all()) == [items[4]]
    other.items.clear()
    assert other.items.count() == 0


def test_many_to_many_managers(items):
    red = Tag.objects.add(Tag(label="red"))
    items[1].tags.add(red)
    assert items[1].tags.get(red.pk) == red
    assert items[1].tags.list({"label": "red"}) == [red]
    assert red.items.list({"stock": 1}) == [items[1]]
    assert items[1].tags.all().count({"label": "red"}) == 1
    assert items[2].tags.get_or_none(red.pk) is None


# Keys of every kind.


def test_composite_keys():
    Seat.objects.add_all([Seat(row="A", number=n, price=n) for n in range(3)])

    assert Seat.objects.get(pk=("A", 1)).price == 1
    assert Seat.objects.get(pk=("A", 1), load=()).price == 1
    assert Seat.objects.get_many([("A", 2), ("A", 9)]) == {("A", 2): Seat(row="A", number=2)}
    seat = Seat.objects.get(pk=("A", 2))
    Seat.objects.update(seat, price=50)
    assert [s.price for s in Seat.objects.list({"price": {"gt": 0}}, ["price:desc"])] == [50, 1]
    assert [s.number for s in Seat.objects.stream(chunk_size=2)] == [0, 1, 2]
    Seat.objects.delete(seat)
    assert Seat.objects.update_all({"row": "A"}, price=5) == 2


def test_uuid_keys():
    token = Token.objects.add(Token(name="a"))
    assert Token.objects.get(str(token.pk)) == token
    assert Token.objects.get_many([str(token.pk)]) == {token.pk: token}
    assert Token.objects.list({"id": str(token.pk)}) == [token]


# Being Django's.


def test_querysets_pickle_with_what_they_know(items):
    rows = Item.objects.filter(stock__lt=2)
    copy = pickle.loads(pickle.dumps(rows))
    assert [row.stock for row in copy] == [0, 1]
    copied_query = Item.objects.all()
    copied_query.query = pickle.loads(pickle.dumps(rows.query))
    assert copied_query.with_deleted().count() == 2
    assert copy.where({"category": "office"}).count() == 1


def test_from_queryset_and_configured():
    class ItemQuerySet(RepositoryQuerySet):
        def cheap(self):
            return self.filter(price__lt=5)

    manager = Repository.configured(soft_delete=None).from_queryset(ItemQuerySet)()
    manager.model = Item
    Item.objects.add(Item(name="a", price=1))
    Item.objects.delete(Item.objects.add(Item(name="b", price=2)))

    assert manager.cheap().where({"price": {"gt": 0}}).count() == 2
    with pytest.raises(TypeError, match="no policy"):
        Repository.configured(nonsense=1)
