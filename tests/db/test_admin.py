"""The admin and the forms, through Django's test client."""

from __future__ import annotations

import pytest
from django import forms
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.urls import reverse

from django_enterprise_repo.exceptions import StaleObjectError
from django_enterprise_repo.forms import VersionedModelForm
from tests.testapp.models import Author, Bare, Book, Car, Item

pytestmark = pytest.mark.django_db


@pytest.fixture
def user():
    return get_user_model().objects.create_superuser("ada", password="secret")


@pytest.fixture
def admin(client, user):
    client.force_login(user)
    return client


@pytest.fixture
def items():
    return Item.objects.add_all([Item(name=f"item {n}", stock=n) for n in range(3)])


CHANGELIST = "admin:testapp_item_changelist"


def rows(response):
    return {row.name for row in response.context["cl"].result_list}


def act(admin, action, *items, **extra):
    data = {"action": action, "_selected_action": [item.pk for item in items], **extra}
    return admin.post(reverse(CHANGELIST) + "?deleted=all", data, follow=True)


def test_the_list_filter(admin, items):
    Item.objects.delete(items[0])

    assert rows(admin.get(reverse(CHANGELIST))) == {"item 1", "item 2"}
    assert rows(admin.get(reverse(CHANGELIST), {"deleted": "only"})) == {"item 0"}
    assert rows(admin.get(reverse(CHANGELIST), {"deleted": "all"})) == {"item 0", "item 1", "item 2"}


def test_deleting_one_is_soft_and_says_so(admin, items, user):
    url = reverse("admin:testapp_item_delete", args=[items[0].pk])

    page = admin.get(url).content.decode()
    assert "will be marked as deleted" in page
    assert "can be restored" in page

    answer = admin.post(url, {"post": "yes"}, follow=True)
    assert "was marked as deleted" in answer.content.decode()
    assert "was deleted successfully" not in answer.content.decode()
    row = Item.all_objects.get(pk=items[0].pk)
    assert (row.deleted_at is not None, row.deleted_by) == (True, user)


def test_deleting_several_is_soft_and_says_so(admin, items, user):
    page = act(admin, "delete_selected", *items[:2]).content.decode()
    assert "will be marked as deleted" in page

    answer = act(admin, "delete_selected", *items[:2], post="yes").content.decode()
    assert "2 rows were marked as deleted" in answer
    assert Item.objects.count() == 1
    assert Item.all_objects.filter(deleted_by=user).count() == 2


def test_restoring(admin, items):
    Item.objects.delete_all({"stock": {"lt": 2}})

    answer = act(admin, "restore_selected", *items).content.decode()

    assert "2 rows were restored" in answer
    assert Item.objects.count() == 3


def test_restoring_needs_its_permission(client, items):
    staff = get_user_model().objects.create_user("sam", is_staff=True)
    for name in ("view", "change", "delete"):
        staff.user_permissions.add(Permission.objects.get(codename=f"{name}_item"))
    client.force_login(staff)
    Item.objects.delete(items[0])

    assert "restore_selected" not in client.get(reverse(CHANGELIST)).content.decode()
    act(client, "restore_selected", items[0])
    assert Item.objects.count() == 2

    staff.user_permissions.add(Permission.objects.get(codename="restore_item"))
    client.force_login(get_user_model().objects.get(pk=staff.pk))
    act(client, "restore_selected", items[0])
    assert Item.objects.count() == 3


def test_a_deleted_row_opens_and_cannot_be_deleted_again(admin, items):
    Item.objects.delete(items[0])
    assert admin.get(reverse("admin:testapp_item_change", args=[items[0].pk])).status_code == 200
    assert admin.get(reverse("admin:testapp_item_delete", args=[items[0].pk])).status_code == 403


def test_protected_rows_are_told(admin):
    author = Author.objects.add(Author(name="ann"))
    Book.objects.add(Book(title="b", author=author))

    url = reverse("admin:testapp_author_delete", args=[author.pk])
    page = admin.get(url).content.decode()
    assert "protected" in page
    admin.post(url, {"post": "yes"})
    assert Author.objects.count() == 1


def test_a_model_without_marker_is_deleted_as_ever(admin):
    bare = Bare.objects.add(Bare(name="a"))
    page = admin.get(reverse("admin:testapp_bare_delete", args=[bare.pk])).content.decode()
    assert "marked as deleted" not in page
    admin.post(reverse("admin:testapp_bare_delete", args=[bare.pk]), {"post": "yes"})
    assert Bare.objects.count() == 0


def change_data(item, **changes):
    return {
        "name": item.name,
        "stock": item.stock,
        "price": item.price,
        "category": "",
        "held_version": item.version,
        **changes,
    }


def test_the_version_travels_through_the_admin(admin, items):
    item = items[0]
    url = reverse("admin:testapp_item_change", args=[item.pk])
    assert '<input type="hidden" name="held_version" value="1"' in admin.get(url).content.decode()

    assert admin.post(url, change_data(item, stock=7)).status_code == 302
    assert Item.objects.get(item.pk).stock == 7

    stale = admin.post(url, change_data(item, stock=9))
    assert stale.status_code == 200
    assert "Somebody else saved this item" in stale.content.decode()
    assert Item.objects.get(item.pk).stock == 7

    forged = admin.post(url, change_data(item, stock=9, held_version=""))
    assert forged.status_code == 200
    assert Item.objects.get(item.pk).stock == 7


def test_adding_needs_no_version(admin):
    data = {"name": "new", "stock": 1, "price": 1, "category": "", "held_version": ""}
    assert admin.post(reverse("admin:testapp_item_add"), data).status_code == 302
    assert Item.objects.get_by(name="new").version == 1


@pytest.mark.parametrize(("view", "method"), [("change", "save"), ("delete", "delete")])
def test_a_save_in_the_last_moment_is_told_and_writes_nothing(admin, items, monkeypatch, view, method):
    def too_late(self, *args, **kwargs):
        raise StaleObjectError(Item, self.pk, expected=1, actual=2)

    monkeypatch.setattr(Item, method, too_late)
    url = reverse(f"admin:testapp_item_{view}", args=[items[0].pk])
    answer = admin.post(url, change_data(items[0], stock=9), follow=True)
    assert "just now" in answer.content.decode()


class ItemForm(VersionedModelForm):
    class Meta:
        model = Item
        fields = ("name",)


def test_a_stale_form_is_a_form_error(items):
    opened = ItemForm(instance=Item.objects.get(items[0].pk))
    assert opened["held_version"].value() == 1
    Item.objects.update(items[0], stock=5)

    form = ItemForm({"name": "x", "held_version": "1"}, instance=Item.objects.get(items[0].pk))
    assert not form.is_valid()
    assert form.has_error(forms.forms.NON_FIELD_ERRORS, "stale")

    fresh = ItemForm({"name": "x", "held_version": "2"}, instance=Item.objects.get(items[0].pk))
    assert fresh.save().version == 3


def test_plain_model_forms_take_the_write_path(items):
    plain = forms.modelform_factory(Car, fields=("doors",))
    car = plain({"doors": 5}).save()
    assert car.version == 1
    first, second = Car.objects.get(car.pk), Car.objects.get(car.pk)
    plain({"doors": 2}, instance=first).save()
    with pytest.raises(StaleObjectError):
        plain({"doors": 3}, instance=second).save()


def test_a_versioned_form_needs_a_versioned_model():
    with pytest.raises(TypeError, match="no VersionedModel|not a VersionedModel"):
        forms.modelform_factory(Bare, form=VersionedModelForm, fields=("name",))()
