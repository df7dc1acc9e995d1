"""Many rows in one form of the admin: the editable list, and the inlines."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from django import forms
from django.contrib.auth.models import Permission
from django.contrib.messages import get_messages
from django.urls import reverse

from django_enterprise_repo.admin import RepositoryTabularInline
from django_enterprise_repo.admin.formsets import RowFormSet
from django_enterprise_repo.admin.versions import based_on
from django_enterprise_repo.exceptions import StaleObjectError
from django_enterprise_repo.forms import VersionedRowForm
from tests.testapp.admin import ItemInline, site
from tests.testapp.models import Author, Book, Category, Item, Plain

pytestmark = pytest.mark.django_db


class Inputs(HTMLParser):
    """What a browser would send back of a formset, had nobody touched it."""

    def __init__(self, response, prefix):
        super().__init__()
        self.prefix, self.found = f"{prefix}-", {}
        self.feed(response.content.decode())

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        name = attrs.get("name") or ""
        if tag == "input" and attrs["type"] != "checkbox" and name.startswith(self.prefix) and "__prefix__" not in name:
            self.found[name] = attrs.get("value") or ""


@pytest.fixture
def items():
    return Item.objects.add_all([Item(name=f"item {n}", stock=n) for n in range(3)])


class List:
    """The list of items, open in a browser."""

    def __init__(self, client, query="?o=1"):
        self.client, self.url = client, reverse("admin:testapp_item_changelist") + query
        self.data = Inputs(client.get(self.url), "form").found

    def save(self, **stocks):
        edited = {f"form-{name[1:]}-stock": stock for name, stock in stocks.items()}
        return self.client.post(self.url, {**self.data, **edited, "_save": "Save"})


def stocks():
    return list(Item.all_objects.order_by("name").values_list("stock", flat=True))


def test_a_list_is_saved_and_its_versions_move_on(admin_client, items):
    page = List(admin_client)
    assert page.data["form-1-held_version"] == "1"

    assert page.save(_1=7).status_code == 302
    assert stocks() == [0, 7, 2]
    assert Item.objects.get(items[1].pk).version == 2
    assert Item.objects.get(items[0].pk).version == 1  # not edited, not written


def test_a_stale_row_of_a_list_is_its_error_and_nothing_is_written(admin_client, items):
    page = List(admin_client)
    Item.objects.update(items[1], stock=50)

    answer = page.save(_0=9, _1=9)

    assert answer.status_code == 200
    formset = answer.context["cl"].formset
    assert [form.has_error(forms.forms.NON_FIELD_ERRORS, "stale") for form in formset] == [False, True, False]
    assert answer.content.decode().count("Somebody else saved this item") == 1
    assert stocks() == [0, 50, 2]


def test_a_row_that_changed_elsewhere_and_was_not_edited_is_no_obstacle(admin_client, items):
    page = List(admin_client)
    Item.objects.update(items[1], name="item 1, renamed")
    assert page.save(_0=9).status_code == 302
    assert stocks() == [9, 1, 2]
    assert Item.objects.get(items[1].pk).version == 2


def test_a_row_whose_version_is_missing_is_stale(admin_client, items):
    page = List(admin_client)
    del page.data["form-1-held_version"]
    assert page.save(_1=9).status_code == 200
    assert stocks() == [0, 1, 2]


def test_a_form_of_the_projects_own_takes_the_version_along(admin_client, items, monkeypatch):
    class Own(forms.ModelForm):
        class Meta:
            labels = {"stock": "Pieces"}

    monkeypatch.setattr(site._registry[Item], "get_changelist_form", lambda request, **kwargs: Own)
    page = List(admin_client)
    Item.objects.update(items[1], stock=50)
    assert page.save(_1=9).status_code == 200
    assert stocks() == [0, 50, 2]


def test_deleted_rows_are_edited_in_the_list_of_all_rows(admin_client, items):
    Item.objects.delete(items[1])
    assert List(admin_client, "?deleted=all&o=1").save(_1=9).status_code == 302
    assert stocks() == [0, 9, 2]
    assert Item.objects.only_deleted().count() == 1


def test_a_list_that_is_overtaken_in_the_last_moment_is_told(admin_client, items, monkeypatch):
    page = List(admin_client)

    def too_late(self, *args, **kwargs):
        raise StaleObjectError(Item, self.pk, expected=1, actual=2)

    monkeypatch.setattr(Item, "save", too_late)
    answer = page.save(_1=9)
    assert answer.status_code == 302
    assert "just now" in str(next(iter(get_messages(answer.wsgi_request))))


class Shelf:
    """A category with its items, open in a browser."""

    def __init__(self, client, category):
        self.client, self.url = client, reverse("admin:testapp_category_change", args=[category.pk])
        self.page = client.get(self.url)
        self.data = {"name": category.name, **Inputs(self.page, "items").found}

    def save(self, **changes):
        return self.client.post(self.url, {**self.data, **{f"items-{name}": value for name, value in changes.items()}})


@pytest.fixture
def category(items):
    category = Category.objects.add(Category(name="c"))
    Item.objects.update_all(everything=True, category=category)
    return category


def rows(answer):
    (inline,) = answer.context["inline_admin_formsets"]
    return inline.formset.initial_forms


@pytest.mark.parametrize("manager", ["objects", "all_objects"])
def test_an_inline_shows_living_rows(admin_client, category, items, monkeypatch, manager):
    monkeypatch.setitem(vars(Item._meta), "default_manager", getattr(Item, manager))
    Item.objects.delete(Item.objects.get(items[0].pk))
    shelf = Shelf(admin_client, category)
    assert [form.instance.name for form in rows(shelf.page)] == ["item 1", "item 2"]


@pytest.mark.parametrize("declared", [("name", "stock"), ("name", "held_version"), None])
def test_an_inline_has_the_version_in_every_row_and_shows_it_to_nobody(admin_client, category, monkeypatch, declared):
    monkeypatch.setattr(ItemInline, "fields", declared)
    page = Shelf(admin_client, category).page.content.decode()
    assert [page.count(f'name="items-{n}-held_version"') for n in range(3)] == [1, 1, 1]
    assert "Held version" not in page


def test_an_inline_is_saved_by_the_user_and_its_versions_move_on(admin_client, admin_user, category, items):
    shelf = Shelf(admin_client, category)
    assert shelf.data["items-1-held_version"] == "2"

    answer = shelf.save(**{"1-stock": 7, "2-DELETE": "on"})

    assert answer.status_code == 302
    assert [item.version for item in Item.all_objects.order_by("name")] == [2, 3, 3]
    gone = Item.objects.only_deleted().get()
    assert (gone.name, gone.deleted_by) == ("item 2", admin_user)


def test_an_inline_adds_rows(admin_client, category):
    shelf = Shelf(admin_client, category)
    answer = shelf.save(**{"TOTAL_FORMS": 4, "3-name": "new", "3-stock": 1, "3-category": category.pk})
    assert answer.status_code == 302
    assert Item.objects.get_by(name="new").category == category


def test_a_stale_row_of_an_inline_is_its_error_and_nothing_is_written(admin_client, category, items):
    shelf = Shelf(admin_client, category)
    Item.objects.update(items[1].pk, stock=50)

    answer = shelf.save(**{"0-stock": 9, "1-stock": 9})

    assert answer.status_code == 200
    stale = [form.has_error(forms.forms.NON_FIELD_ERRORS, "stale") for form in rows(answer)]
    assert stale == [False, True, False]
    assert "Somebody else saved this item" in answer.content.decode()
    assert stocks() == [0, 50, 2]


def test_a_stale_row_of_an_inline_is_not_deleted(admin_client, category, items):
    shelf = Shelf(admin_client, category)
    Item.objects.update(items[1].pk, stock=50)
    assert shelf.save(**{"1-DELETE": "on"}).status_code == 200
    assert Item.objects.count() == 3


def test_a_row_that_somebody_deleted_meanwhile_is_told(admin_client, category, items):
    shelf = Shelf(admin_client, category)
    Item.objects.delete(items[1].pk)

    answer = shelf.save(**{"1-stock": 9})
    assert "Somebody else deleted one of these rows" in answer.content.decode()
    assert stocks() == [0, 1, 2]

    assert shelf.save(**{"1-DELETE": "on"}).status_code == 302  # which is as it was wanted


def test_who_may_only_delete_takes_the_version_along(client, django_user_model, category, items):
    staff = django_user_model.objects.create_user("sam", is_staff=True)
    for name in ("change_category", "view_item", "delete_item"):
        staff.user_permissions.add(Permission.objects.get(codename=name, content_type__app_label="testapp"))
    client.force_login(staff)

    shelf = Shelf(client, category)
    assert "Held version" not in shelf.page.content.decode()
    Item.objects.update(items[1].pk, stock=50)
    assert shelf.save(**{"1-DELETE": "on"}).status_code == 200
    assert shelf.save(**{"2-DELETE": "on"}).status_code == 302
    assert Item.objects.only_deleted().get().name == "item 2"


def test_an_inline_of_a_model_without_version(admin_client):
    author = Author.objects.add(Author(name="a"))
    books = Book.objects.add_all([Book(title=f"b{n}", author=author) for n in range(2)])
    url = reverse("admin:testapp_author_change", args=[author.pk])
    data = Inputs(admin_client.get(url), "books").found

    answer = admin_client.post(url, {"name": "a", **data, "books-0-title": "new", "books-1-DELETE": "on"})

    assert answer.status_code == 302
    assert Book.objects.get().title == "new"
    assert Book.objects.only_deleted().get() == books[1]


def test_living_rows_protect_a_row_of_an_inline_and_deleted_ones_do_not(admin_client, admin_user):
    author = Author.objects.add(Author(name="a", deleted_by=admin_user))
    book = Book.objects.add(Book(title="b", author=author))
    url = reverse("admin:auth_user_change", args=[admin_user.pk])
    # A relation without a name of its own is numbered.
    data = {"username": admin_user.username, **Inputs(admin_client.get(url), "-1").found, "-1-0-DELETE": "on"}

    refused = admin_client.post(url, data)
    assert "This author cannot be deleted: books refer to it." in refused.content.decode()
    assert Author.objects.count() == 1

    Book.objects.delete(book)
    assert admin_client.post(url, data).status_code == 302
    assert Author.objects.count() == 0


def test_a_row_whose_own_delete_is_djangos_is_marked():
    row = Plain.objects.add(Plain(name="a"))
    rows = forms.modelformset_factory(Plain, fields=("name",), formset=RowFormSet, can_delete=True, extra=0)
    data = {"form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 1, "form-0-id": row.pk, "form-0-name": "a"}

    formset = rows({**data, "form-0-DELETE": "on"}, queryset=Plain.objects.all())
    formset.save()

    assert Plain.objects.only_deleted().get() == row


def test_an_inline_keeps_what_it_was_given():
    class OwnForm(VersionedRowForm):
        pass

    class OwnFormSet(forms.BaseInlineFormSet):
        pass

    class Inline(ItemInline):
        form = OwnForm
        formset = OwnFormSet

    inline = Inline(Category, site)
    assert inline.form is OwnForm
    assert issubclass(inline.formset, OwnFormSet) and issubclass(inline.formset, RowFormSet)
    assert based_on(RowFormSet, inline.formset) is inline.formset
    assert issubclass(ItemInline, RepositoryTabularInline)
