"""Every way to write that the audit's table knows: what the cache answers afterwards is what the database has."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import connection, transaction

from django_enterprise_repo import operation_context
from django_enterprise_repo.caching.counters import cache_counts
from tests.db.auditing.test_write_paths import EVERY
from tests.db.caching.conftest import expire_locks

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("everything_cached")]

MODELS: list[Any] = list(apps.get_app_config("testapp").get_models())


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


@pytest.mark.parametrize("nested", [False, True], ids=["autocommit", "nested"])
@pytest.mark.parametrize(("prepare", "write", "expected"), [row[1:] for row in EVERY], ids=[row[0] for row in EVERY])
def test_what_the_cache_answers_is_what_the_database_has(
    prepare, write, expected, nested, user, everything_cached
):
    prepare()
    expire_locks(everything_cached)
    known = reads()
    warm = {model: cache_counts.of(model).hit for model, _ in known}
    assert values(reads()) == values(rows(known))
    for model in warm:
        kept = cache_counts.of(model)
        assert kept.hit > warm[model] or kept == type(kept)() or not kept.filled

    with transaction.atomic() if nested else nullcontext(), operation_context(user=user):
        write()
        if nested:
            assert values(reads()) == values(rows(reads()))

    assert values(reads()) == values(rows(reads()))
    assert values({key: key[0]._default_manager.get_or_none(key[1]) for key in known}) == values(rows(known))
    expire_locks(everything_cached)
    assert values(reads()) == values(rows(reads()))
    assert values({key: key[0]._default_manager.get_or_none(key[1]) for key in known}) == values(rows(known))


@pytest.mark.parametrize(("prepare", "write", "expected"), [row[1:] for row in EVERY], ids=[row[0] for row in EVERY])
def test_a_rollback_leaves_nothing_wrong(prepare, write, expected, user, everything_cached):
    prepare()
    expire_locks(everything_cached)
    known = reads()

    with pytest.raises(Rollback), transaction.atomic(), operation_context(user=user):
        write()
        reads()
        raise Rollback

    assert not connection.in_atomic_block
    for _ in range(2):
        assert values({key: key[0]._default_manager.get_or_none(key[1]) for key in known}) == values(rows(known))
        assert values(reads()) == values(rows(reads()))
        expire_locks(everything_cached)
