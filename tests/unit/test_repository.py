"""Repositories as Django's managers: migrations, copies, inheritance."""

from __future__ import annotations

import pickle

import pytest
from django.db import migrations, models
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.state import ModelState, ProjectState
from django.db.migrations.writer import MigrationWriter
from django.test.utils import isolate_apps

from django_enterprise_repo import Repository, RepositoryModel, RepositoryQuerySet, SoftDeleteModel
from tests.testapp.models import Item, Remembered, RememberedRepository, SmallCar


def test_migrations_know_of_plain_managers_only():
    managers = dict(ModelState.from_model(Item).managers)

    # The name of the base manager is part of the model, and Django's own class stands in for ours there.
    assert {name: type(manager) for name, manager in managers.items()} == {
        "objects": models.Manager,
        "all_objects": models.Manager,
    }


@isolate_apps("tests.testapp")
def test_a_manager_alone_leaves_no_trace_in_migrations():
    class Thing(models.Model):
        objects = Repository()

        class Meta:
            app_label = "testapp"

    assert ModelState.from_model(Thing).managers == []


def test_a_repository_that_wants_to_travels_into_migrations():
    state = ModelState.from_model(Remembered)
    (name, repository), *_ = state.managers

    assert (name, type(repository)) == ("objects", RememberedRepository)
    rendered, imports = MigrationWriter.serialize(repository)
    assert "RememberedRepository" in rendered
    namespace: dict[str, object] = {}
    exec("\n".join(imports), namespace)
    assert type(eval(rendered, namespace)) is RememberedRepository


def test_nothing_changes_for_the_autodetector():
    state = ProjectState()
    for model in (Item, Remembered):
        state.add_model(ModelState.from_model(model))

    assert MigrationAutodetector(state, state.clone())._detect_changes() == {}


def test_historical_models_have_the_repository():
    state = ProjectState()
    state.add_model(ModelState.from_model(Remembered))
    historical = state.apps.get_model("testapp", "Remembered")

    assert isinstance(historical.objects, Repository)
    assert isinstance(historical.objects.all(), RepositoryQuerySet)
    assert migrations.RunPython(lambda apps, editor: None).reversible is False


@isolate_apps("tests.testapp")
def test_abstract_models_hand_their_repository_down():
    class Base(SoftDeleteModel):
        objects = Repository.configured(soft_delete=None)()

        class Meta(SoftDeleteModel.Meta):
            app_label = "testapp"
            abstract = True

    class Thing(Base):
        class Meta:
            app_label = "testapp"

    class Proxy(Thing):
        class Meta:
            app_label = "testapp"
            proxy = True

    for model in (Thing, Proxy):
        assert model.objects.soft_delete is None
        assert model._base_manager.name == "all_objects"
        assert model.objects.model is model


def test_a_model_with_another_manager_keeps_the_base_manager():
    with isolate_apps("tests.testapp"):

        class Thing(RepositoryModel):
            objects = models.Manager()

            class Meta:
                app_label = "testapp"

        assert Thing._base_manager.name == "all_objects"


def test_proxies_have_the_verbs():
    assert SmallCar.objects.model is SmallCar


def test_policies_are_the_classes():
    configured = Repository.configured(soft_delete=None)

    assert configured.soft_delete is None
    assert configured.__module__ == Repository.__module__
    with pytest.raises(TypeError, match="no policy"):
        Repository.configured(soft_deletes=None)


def test_querysets_pickle():
    rows = Item.objects.where({"name": "a"}).sort_by("price:desc")

    copy = pickle.loads(pickle.dumps(rows.query))

    assert str(copy) == str(rows.query)
