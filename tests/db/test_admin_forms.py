"""Forms reckon with deleted rows: the unique values they hold, and the children they have."""

from __future__ import annotations

import pytest
from django import forms
from django.contrib.auth.models import Permission
from django.db.models import Q, UniqueConstraint
from django.db.models.functions import Lower
from django.urls import reverse

from django_enterprise_repo.admin import RepositoryAdmin
from django_enterprise_repo.forms import RepositoryModelForm
from tests.testapp.admin import site
from tests.testapp.models import Account, Author, Bare, Book, Comment, Item, Note

pytestmark = pytest.mark.django_db


@pytest.fixture
def sku_in_the_form(monkeypatch):
    monkeypatch.setattr(site._registry[Item], "fields", ("name", "sku", "stock", "price"))


def post_item(client, url, **changes):
    data = {"name": "new", "sku": "A1", "stock": 1, "price": 1, **changes}
    return client.post(url, data)


def errors(response):
    return response.context["adminform"].form.errors


def test_adding_a_value_that_a_deleted_row_holds_is_a_form_error(admin_client, sku_in_the_form):
    Item.objects.delete(Item.objects.add(Item(name="old", sku="A1")))
    url = reverse("admin:testapp_item_add")

    answer = post_item(admin_client, url)
    assert errors(answer) == {"sku": ["A deleted item has the same sku."]}
    assert "A1" not in errors(answer)["sku"][0]
    assert Item.all_objects.count() == 1

    assert post_item(admin_client, url, sku="A2").status_code == 302


def test_a_value_that_a_living_row_holds_is_djangos_error(admin_client, sku_in_the_form):
    Item.objects.add(Item(name="old", sku="A1"))
    answer = post_item(admin_client, reverse("admin:testapp_item_add"))
    assert errors(answer) == {"sku": ["Item with this Sku already exists."]}


def test_changing_to_a_value_that_a_deleted_row_holds_is_a_form_error(admin_client, sku_in_the_form):
    Item.objects.delete(Item.objects.add(Item(name="old", sku="A1")))
    item = Item.objects.add(Item(name="mine", sku="A2"))
    url = reverse("admin:testapp_item_change", args=[item.pk])

    assert errors(post_item(admin_client, url, held_version=1)) == {"sku": ["A deleted item has the same sku."]}
    assert post_item(admin_client, url, held_version=1, sku="A2").status_code == 302


def test_a_deleted_row_may_keep_its_own_value(admin_client, sku_in_the_form):
    item = Item.objects.add(Item(name="mine", sku="A1"))
    Item.objects.delete(item)
    url = reverse("admin:testapp_item_change", args=[item.pk])
    assert post_item(admin_client, url, held_version=item.version, name="still mine").status_code == 302
    assert Item.all_objects.get(pk=item.pk).name == "still mine"


def test_every_model_of_the_admin_gets_the_form(admin_client):
    Account.objects.delete(Account.objects.add(Account(name="a")))
    answer = admin_client.post(reverse("admin:testapp_account_add"), {"name": "a", "size": 1})
    assert errors(answer) == {"name": ["A deleted account has the same name."]}


class BookForm(RepositoryModelForm):
    class Meta:
        model = Book
        fields = ("title", "author")


@pytest.mark.parametrize(
    ("unique", "message"),
    [
        ("together", "A deleted book has the same title and author."),
        (UniqueConstraint(fields=("title", "author"), name="u"), "A deleted book has the same title and author."),
        (UniqueConstraint(fields=("title",), name="u"), "A deleted book has the same title."),
        (UniqueConstraint(fields=("title",), condition=Q(title="B"), name="u"), "A deleted book has the same title."),
        (UniqueConstraint(fields=("title",), condition=Q(deleted_at=None), name="u"), None),
        (UniqueConstraint(Lower("title"), name="u"), "A deleted book has the same unique value."),
    ],
)
def test_every_kind_of_unique_value(monkeypatch, unique, message):
    def errors(title):
        form = BookForm({"title": title, "author": author.pk})
        return [text for texts in form.errors.values() for text in texts]

    if unique == "together":
        monkeypatch.setattr(Book._meta, "unique_together", (("title", "author"),))
    else:
        monkeypatch.setattr(Book._meta, "constraints", [unique])
    author = Author.objects.add(Author(name="a"))
    Book.objects.delete(Book.objects.add(Book(title="B", author=author)))

    assert errors("B") == ([] if message is None else [message])
    assert errors("C") == []

    Book.objects.restore_all(everything=True)
    (living,) = errors("B")
    assert living != message


def test_a_deleted_row_may_share_what_is_kept_apart_among_the_living(monkeypatch):
    unique = UniqueConstraint(fields=("title",), condition=Q(deleted_at=None), name="u")
    monkeypatch.setattr(Book._meta, "constraints", [unique])
    author = Author.objects.add(Author(name="a"))
    gone, living = Book.objects.add_all([Book(title="B", author=author), Book(title="B", author=author)])
    Book.objects.delete(gone)

    data = {"title": "B", "author": author.pk}
    assert BookForm(data, instance=Book.all_objects.get(pk=gone.pk)).is_valid()
    assert BookForm(data, instance=living).is_valid()


def test_a_value_outside_the_scope_is_taken_too(monkeypatch):
    monkeypatch.setattr(Note._meta, "constraints", [UniqueConstraint(fields=("text",), name="unique_text")])
    Note.objects.add(Note(tenant="theirs", text="x"))  # and current is none
    form = forms.modelform_factory(Note, form=RepositoryModelForm, fields=("text",))
    assert form({"text": "x"}).errors == {"text": ["Note with this Text already exists."]}


def test_a_model_without_hidden_rows_costs_no_query_more(django_assert_num_queries):
    form = forms.modelform_factory(Bare, form=RepositoryModelForm, fields=("name",))
    with django_assert_num_queries(1):
        assert form({"name": "b"}).is_valid()


@pytest.fixture
def comment():
    """A comment whose author was deleted, beside a living and another deleted author."""
    author, other, _living = Author.objects.add_all([Author(name=name) for name in ("mine", "other", "living")])
    comment = Comment.objects.add(Comment(text="old", author=author))
    Author.objects.delete(author)
    Author.objects.delete(other)
    return comment


def test_the_deleted_parent_of_a_child_stays_its_choice(admin_client, comment):
    url = reverse("admin:testapp_comment_change", args=[comment.pk])
    other = Author.objects.only_deleted().get_by(name="other")
    living = Author.objects.get_by(name="living")

    page = admin_client.get(url).content.decode()
    assert f'<option value="{comment.author_id}" selected>' in page
    assert f'<option value="{living.pk}">' in page
    assert f'<option value="{other.pk}"' not in page

    assert admin_client.post(url, {"text": "new", "author": comment.author_id}).status_code == 302
    assert Comment.objects.get(comment.pk).text == "new"
    assert "author" in errors(admin_client.post(url, {"text": "newer", "author": other.pk}))
    assert admin_client.post(url, {"text": "newest", "author": living.pk}).status_code == 302


def test_a_new_child_takes_no_deleted_parent(admin_client, comment):
    data = {"text": "x", "author": comment.author_id}
    assert "author" in errors(admin_client.post(reverse("admin:testapp_comment_add"), data))
    form = forms.modelform_factory(Comment, form=RepositoryModelForm, fields=("text", "author"))
    assert not form(data, instance=Comment(author=comment.author)).is_valid()


@pytest.mark.parametrize("widget", ["autocomplete_fields", "raw_id_fields", "radio_fields"])
def test_the_deleted_parent_is_shown_by_every_widget(admin_client, comment, monkeypatch, widget):
    value = {"author": 1} if widget == "radio_fields" else ("author",)
    monkeypatch.setattr(site._registry[Comment], widget, value)
    url = reverse("admin:testapp_comment_change", args=[comment.pk])

    assert f'value="{comment.author_id}"' in admin_client.get(url).content.decode()
    assert admin_client.post(url, {"text": "new", "author": comment.author_id}).status_code == 302


@pytest.mark.parametrize("declared", [("name", "stock", "price"), None])
def test_the_version_is_shown_to_nobody(client, django_user_model, monkeypatch, declared):
    monkeypatch.setattr(site._registry[Item], "fields", declared)
    item = Item.objects.add(Item(name="a"))
    staff = django_user_model.objects.create_user("sam", is_staff=True)
    staff.user_permissions.add(Permission.objects.get(codename="view_item"))
    client.force_login(staff)
    url = reverse("admin:testapp_item_change", args=[item.pk])

    page = client.get(url).content.decode()
    assert ">a</div>" in page
    assert "held" not in page.lower()

    staff.user_permissions.add(Permission.objects.get(codename="change_item"))
    client.force_login(django_user_model.objects.get(pk=staff.pk))
    assert client.get(url).content.decode().count('<input type="hidden" name="held_version" value="1"') == 1


def test_a_declared_field_may_be_readonly(rf, admin_user):
    class Form(forms.ModelForm):
        name = forms.CharField()

    class Admin(RepositoryAdmin):
        form = Form
        readonly_fields = ("name",)

    request = rf.get("/")
    request.user = admin_user
    form = Admin(Item, site).get_form(request, Item(name="a"), change=True)
    assert "name" not in form.base_fields
    assert "held_version" in form.base_fields


def test_a_form_that_an_admin_chooses_late_carries_the_version_too(rf, admin_user):
    class Admin(RepositoryAdmin):
        def get_form(self, request, obj=None, change=False, **kwargs):
            return super().get_form(request, obj, change, **kwargs, form=forms.ModelForm)

    request = rf.get("/")
    request.user = admin_user
    assert "held_version" in Admin(Item, site).get_form(request, Item(name="a"), change=True).base_fields
