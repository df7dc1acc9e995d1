"""Every way to write that the audit's table knows: what the cache answers afterwards is what the database has."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connection, transaction

from django_enterprise_repo import operation_context
from django_enterprise_repo.caching.counters import cache_counts
from django_enterprise_repo.caching.keys import has_exact_keys
from tests.db.auditing.test_write_paths import EVERY
from tests.db.caching.conftest import expire_locks

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("everything_cached"),
    pytest.mark.exhaustive,
]

MODELS: list[Any] = list(apps.get_app_config("testapp").get_models())


#: What a manager alone cannot see through Django's engine.
UNSEEN = ("manager alone: save-", "manager alone: delete-")


class Rollback(Exception):
    """Nothing else raises it."""


def reads() -> dict[tuple[Any, Any], Any]:
    """Every row of every model, as ``get(pk)`` of its repository answers it."""
    return {
        (model, pk): model._default_manager.get_or_none(pk)
        for model in MODELS
        if hasattr(model._default_manager, "get_or_none") and not model._meta.swapped
        for pk in model._base_manager.order_by("pk").values_list("pk", flat=True)
    }


def read(known: Any) -> dict[tuple[Any, Any], Any]:
    return {(model, pk): model._default_manager.get_or_none(pk) for model, pk in known}


def rows(known: Any) -> dict[tuple[Any, Any], Any]:
    """What the database has under the same keys, seen past every cache."""
    return {(model, pk): model._default_manager.filter(pk=pk).first() for model, pk in known}


def values(entities: dict[Any, Any]) -> dict[Any, Any]:
    return {key: None if entity is None else plain(entity) for key, entity in entities.items()}


def plain(entity: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(entity).items() if name != "_state"}


@pytest.fixture
def user():
    return get_user_model().objects.create(username="ada")


def assert_true(known: Any, cache: Any) -> None:
    """The cache answers what the database has, for rows that were known before and those there are now."""
    for _ in range(2):
        found = {**read(known), **reads()}
        assert values(found) == values(rows(found))
        expire_locks(cache)


@pytest.mark.parametrize("nested", [False, True], ids=["autocommit", "nested"])
@pytest.mark.parametrize(("prepare", "write"), [row[1:3] for row in EVERY], ids=[row[0] for row in EVERY])
def test_what_the_cache_answers_is_what_the_database_has(prepare, write, nested, user, everything_cached, request):
    if settings.REPO_ENGINE == "django" and request.node.callspec.id.startswith(UNSEEN):
        pytest.skip("Django's own save() and delete(), which the check W011 tells of")
    prepare()
    expire_locks(everything_cached)
    known = reads()
    assert values(reads()) == values(rows(known))
    # Else there is nothing that could be stale. Deleted rows are not cached, nor are those of text keys on MariaDB.
    kept = {model for (model, _), row in known.items() if row and has_exact_keys(model, connection.vendor)}
    assert not kept or any(cache_counts.of(model).hit for model in kept)

    if nested:
        with pytest.raises(Rollback), transaction.atomic(), operation_context(user=user):
            write()
            found = reads()
            assert values(found) == values(rows(found))
            raise Rollback
        assert_true(known, everything_cached)

    with transaction.atomic() if nested else nullcontext(), operation_context(user=user):
        write()
    assert_true(known, everything_cached)
