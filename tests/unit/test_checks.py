"""One test for each check, and one that none is missing here or in the docs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from django.db import models
from django.test import override_settings
from django.test.utils import isolate_apps

from django_enterprise_repo import (
    FilterField,
    FilterPolicy,
    Repository,
    RepositoryModel,
    RepositoryQuerySet,
    RetentionPolicy,
    SoftDeletePolicy,
    checks,
)
from django_enterprise_repo.auditing.tables import own_table
from django_enterprise_repo.checks import (
    check_collations,
    check_histories,
    check_repositories,
    check_retention,
    check_settings,
    check_soft_delete,
)
from tests.testapp.models import Account, Audited, Tower

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def registry() -> Iterator[Any]:
    """An app registry that holds nothing but the models of the test, seen by the checks."""
    with isolate_apps("tests.testapp") as isolated, pytest.MonkeyPatch.context() as patch:
        patch.setattr(checks, "apps", isolated)
        yield isolated


def found(messages):
    return [message.id.removeprefix("enterprise_repo.") for message in messages]


@override_settings(ENTERPRISE_REPO=["PAGE_LIMIT"])
def test_E001():
    assert found(check_settings()) == ["E001"]


@override_settings(ENTERPRISE_REPO={"PAGELIMIT": 5})
def test_E002():
    assert found(check_settings()) == ["E002"]


@override_settings(ENTERPRISE_REPO={"PAGE_LIMIT": "5"})
def test_E003():
    assert found(check_settings()) == ["E003"]


@override_settings(ENTERPRISE_REPO={"PAGE_LIMIT": 5})
def test_good_settings():
    assert check_settings() == []


@pytest.mark.parametrize(
    "field",
    [
        FilterField("nothing"),
        FilterField("name", path="name__first"),
        FilterField("thing_set"),
        FilterField("document", path="document__color"),
        FilterField("document", path="document__a b", type=str),
        FilterField("name", type=str),
        FilterField("name", operators=("near",)),
        FilterField("flag", operators=("like",)),
    ],
    ids=str,
)
def test_E004(registry, field):
    class Thing(models.Model):
        name = models.CharField(max_length=5)
        flag = models.BooleanField()
        document = models.JSONField()
        parent = models.ForeignKey("self", models.PROTECT)
        objects = Repository.configured(filters=FilterPolicy(fields=(field,)))()

        class Meta:
            app_label = "testapp"

    assert found(check_repositories()) == ["E004"]


@pytest.mark.parametrize(
    "policy",
    [
        SoftDeletePolicy(field="nothing"),
        SoftDeletePolicy(field="made_on"),
        SoftDeletePolicy(field="made_on", marker="flag"),
    ],
    ids=str,
)
def test_E005(registry, policy):
    class Thing(models.Model):
        made_on = models.DateTimeField()
        objects = Repository.configured(soft_delete=policy)()

        class Meta:
            app_label = "testapp"

    assert found(check_repositories()) == ["E005"]
    assert check_soft_delete() == [], "a policy that E005 complains of is not looked at twice"


def test_E006(registry):
    class Thing(RepositoryModel):
        deleted_at = models.DateTimeField(null=True)
        objects = Repository()

        class Meta:
            app_label = "testapp"
            base_manager_name = "objects"

    assert found(check_soft_delete()) == ["E006"]


def test_W001(registry):
    class Parent(RepositoryModel):
        deleted_at = models.DateTimeField(null=True)

        class Meta:
            app_label = "testapp"

    class Child(models.Model):
        parent = models.ForeignKey(Parent, models.CASCADE)

        class Meta:
            app_label = "testapp"

    class Other(models.Model):
        parent = models.ForeignKey(Parent, models.PROTECT)

        class Meta:
            app_label = "testapp"

    (message,) = check_soft_delete()

    assert found([message]) == ["W001"]
    assert message.obj is Child


def test_W002(registry):
    class Thing(models.Model):
        deleted_at = models.DateTimeField(null=True)
        objects = Repository()

        class Meta:
            app_label = "testapp"

    assert found(check_soft_delete()) == ["W002"]


def test_a_model_as_it_should_be(registry):
    class Thing(RepositoryModel):
        deleted_at = models.DateTimeField(null=True)

        class Meta:
            app_label = "testapp"

    class Plain(RepositoryModel):
        class Meta:
            app_label = "testapp"

    assert check_repositories() == []
    assert check_soft_delete() == []


class Connection:
    """A connection that answers what a database with these collations would."""

    def __init__(self, vendor: str, rows: list[Any]) -> None:
        self.vendor = vendor
        self.cursor = MagicMock()
        cursor = self.cursor.return_value.__enter__.return_value
        cursor.fetchall.return_value = rows
        cursor.fetchone.return_value = rows[0]


def test_W003(registry, monkeypatch):
    class Thing(RepositoryModel):
        name = models.CharField(max_length=5)
        code = models.CharField(max_length=5)

        class Meta:
            app_label = "testapp"

    rows = [("name", "utf8mb4_general_ci"), ("code", "utf8mb4_bin")]
    monkeypatch.setattr(checks, "connections", {"default": Connection("mysql", rows)})

    (message,) = check_collations(databases=["default"])

    assert found([message]) == ["W003"]
    assert "Thing.name" in message.msg


@pytest.mark.parametrize(("folds", "expected"), [(False, ["W004"]), (True, [])])
def test_W004(monkeypatch, folds, expected):
    monkeypatch.setattr(checks, "connections", {"default": Connection("postgresql", [(folds,)])})

    assert found(check_collations(databases=["default"])) == expected


def test_W005(registry):
    class Kept(Repository):
        retention = RetentionPolicy(keep_versions=2)

    class Thing(models.Model):
        objects = Kept()
        others = Kept()

        class Meta:
            app_label = "testapp"

    class Unconcerned(models.Model):
        objects = Repository()

        class Meta:
            app_label = "testapp"

    (message,) = check_retention()

    assert found([message]) == ["W005"]
    assert message.obj is Thing


def test_a_policy_on_a_model_with_a_history_is_fine(monkeypatch):
    monkeypatch.setattr(Account.objects, "retention", RetentionPolicy())
    monkeypatch.setattr(Tower.objects, "retention", RetentionPolicy())

    assert check_retention() == []


def test_without_a_database_none_is_asked():
    assert check_collations() == []


def test_E007(registry):
    class Foreign(models.Model):
        objects = Repository.from_queryset(models.QuerySet)()

        class Meta:
            app_label = "testapp"

    class Own(models.Model):
        objects = Repository.from_queryset(type("Rows", (RepositoryQuerySet,), {}))()

        class Meta:
            app_label = "testapp"

    assert found(check_repositories()) == ["E007"]


class HistoriesElsewhere:
    def db_for_write(self, model, **hints):
        return "other" if model.__name__.startswith("Historical") else "default"


@override_settings(DATABASE_ROUTERS=[HistoriesElsewhere()])
def test_E008():
    assert {message.obj.__name__ for message in check_histories()} == set(), "both kinds say use_base_model_db"
    table = own_table(Audited)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table.records, "use_base_model_db", False)
        messages = check_histories()

    assert found(messages) == ["E008"]
    assert messages[0].obj is Audited


def test_every_check_is_tested_and_documented():
    source = "".join(path.read_text() for path in Path(checks.__file__).parent.glob("*.py"))
    known = set(re.findall(r'id="enterprise_repo\.([EW]\d{3})"', source))
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*checks.py"))
    tested = set(re.findall(r"^def test_([EW]\d{3})\b", tests, re.MULTILINE))
    documented = set(re.findall(r"^## ([EW]\d{3})$", (ROOT / "docs/reference/checks.md").read_text(), re.MULTILINE))

    assert known == tested == documented
