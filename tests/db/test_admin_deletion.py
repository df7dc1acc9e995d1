"""Deleting, restoring and choosing rows in the admin: the page keeps what it promises."""

from __future__ import annotations

import json

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.db.models import QuerySet
from django.urls import reverse

from django_enterprise_repo.admin.rows import soft_marker
from django_enterprise_repo.soft_delete.markers import model_marker
from tests.testapp.admin import site
from tests.testapp.models import Audited, Author, Book, Category, Item, Loud, Plain

pytestmark = pytest.mark.django_db


def act(client, action, *rows, **extra):
    model = rows[0]._meta.model_name
    data = {"action": action, "_selected_action": [row.pk for row in rows], **extra}
    return client.post(reverse(f"admin:testapp_{model}_changelist") + "?deleted=all", data, follow=True)


def test_a_row_whose_own_delete_is_djangos_is_marked_as_the_page_says(admin_client):
    row = Plain.objects.add(Plain(name="a"))
    url = reverse("admin:testapp_plain_delete", args=[row.pk])

    assert "will be marked as deleted" in admin_client.get(url).content.decode()
    answer = admin_client.post(url, {"post": "yes"}, follow=True)

    assert "was marked as deleted" in answer.content.decode()
    assert Plain.objects.only_deleted().get().pk == row.pk


def test_several_rows_of_another_manager_are_marked_and_come_back(admin_client, monkeypatch):
    rows = Plain.objects.add_all([Plain(name=f"row {n}") for n in range(2)])
    monkeypatch.setattr(site._registry[Plain], "get_queryset", lambda request: QuerySet(Plain))

    assert "2 rows were marked as deleted" in act(admin_client, "delete_selected", *rows, post="yes").content.decode()
    assert Plain.objects.only_deleted().count() == 2

    assert "2 rows were restored" in act(admin_client, "restore_selected", *rows).content.decode()
    assert Plain.objects.count() == 2


def test_nothing_is_promised_where_no_repository_could_keep_it():
    assert model_marker(Audited.history.model) is not None
    assert soft_marker(Audited.history.model) is None


def test_an_overridden_delete_runs(admin_client):
    loud = Loud.objects.add(Loud(name="l"))
    admin_client.post(reverse("admin:testapp_loud_delete", args=[loud.pk]), {"post": "yes"})
    assert not Loud.objects.exists()
    assert Category.objects.filter(name="goodbye l").exists()


def test_only_living_rows_are_deleted_counted_and_logged(admin_client):
    gone, living = Item.objects.add_all([Item(name="gone"), Item(name="living")])
    Item.objects.delete(gone)

    page = act(admin_client, "delete_selected", gone, living)
    assert [entity.pk for entity in page.context["queryset"]] == [living.pk]

    answer = act(admin_client, "delete_selected", gone, living, post="yes")
    assert "1 row was marked as deleted" in answer.content.decode()
    assert [entry.object_id for entry in LogEntry.objects.all()] == [str(living.pk)]

    again = act(admin_client, "delete_selected", gone, living, post="yes")
    assert "are deleted already" in again.content.decode()
    assert LogEntry.objects.count() == 1


def test_only_deleted_rows_are_restored_counted_and_logged(admin_client):
    gone, living = Item.objects.add_all([Item(name="gone"), Item(name="living")])
    Item.objects.delete(gone)

    answer = act(admin_client, "restore_selected", gone, living)

    assert "1 row was restored" in answer.content.decode()
    assert [entry.object_id for entry in LogEntry.objects.all()] == [str(gone.pk)]


@pytest.fixture
def unique_living_names(transactional_db, vendor):
    """Let the database keep the names of living items apart, each engine in its way."""
    if vendor == "mariadb":
        add = (
            "ALTER TABLE testapp_item ADD COLUMN living_name varchar(50) AS (IF(deleted_at IS NULL, name, NULL)), "
            "ADD UNIQUE INDEX unique_living_names (living_name)"
        )
        drop = "ALTER TABLE testapp_item DROP INDEX unique_living_names, DROP COLUMN living_name"
    else:
        add = "CREATE UNIQUE INDEX unique_living_names ON testapp_item (name) WHERE deleted_at IS NULL"
        drop = "DROP INDEX unique_living_names"
    with connection.cursor() as cursor:
        cursor.execute(add)
    yield
    with connection.cursor() as cursor:
        cursor.execute(drop)


def test_a_conflict_restores_nothing_and_is_told(admin_client, unique_living_names):
    rows = Item.objects.add_all([Item(name="free"), Item(name="taken")])
    Item.objects.delete_all(everything=True)
    Item.objects.add(Item(name="taken"))

    answer = act(admin_client, "restore_selected", *rows)

    assert answer.status_code == 200
    assert "Nothing was restored" in answer.content.decode()
    assert Item.objects.only_deleted().count() == 2
    assert not LogEntry.objects.exists()


def test_autocomplete_offers_living_rows_only(admin_client):
    ann, _anton = Author.objects.add_all([Author(name="ann"), Author(name="anton")])
    Author.objects.delete(ann)

    names = {"app_label": "testapp", "model_name": Book._meta.model_name, "field_name": "author", "term": "an"}
    found = json.loads(admin_client.get(reverse("admin:autocomplete"), names).content)["results"]

    assert [row["id"] for row in found] == [str(_anton.pk)]
    listed = admin_client.get(reverse("admin:testapp_author_changelist"), {"q": "an", "deleted": "all"})
    assert listed.context["cl"].result_count == 2
