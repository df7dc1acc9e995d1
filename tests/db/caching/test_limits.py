"""What grows with the rows of a transaction, or with the writes of an outage, has an end: then models are locked."""

from __future__ import annotations

import pytest
from django.core.cache import caches
from django.db import connection, transaction

from django_enterprise_repo.caching import fences
from django_enterprise_repo.caching import store as stores
from django_enterprise_repo.caching.keys import epoch_key, generation_key
from django_enterprise_repo.caching.store import LOCK, Store, store
from tests.db.caching.conftest import expire_locks
from tests.testapp.models import Bare

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("everything_cached")]


def test_a_transaction_of_very_many_rows_locks_their_model(monkeypatch, everything_cached):
    monkeypatch.setattr(fences, "_MOST_PENDING", 3)
    rows = Bare.objects.add_all([Bare(name=name) for name in "abcd"])
    other = Bare.objects.add(Bare(name="e"))
    expire_locks(everything_cached)
    with transaction.atomic():
        for row in rows:
            Bare.objects.update(row, size=1)
    assert everything_cached.get(epoch_key(Bare, connection)) == LOCK
    locked = Bare.objects.cache_info().locked
    assert Bare.objects.get(other.pk).size == 0
    assert Bare.objects.cache_info().locked == locked + 1


def test_very_many_owed_locks_become_those_of_their_models(monkeypatch, everything_cached):
    monkeypatch.setattr(stores, "_MOST_OWED", 3)
    mine = Store("cached")
    mine.breaker.open()
    keys = [generation_key(Bare, pk, connection) for pk in range(5)]
    assert not mine.lock(dict.fromkeys(keys, 30))
    assert mine.owed == 1

    mine.breaker.close()
    assert mine.read(keys) == {}
    assert mine.owed == 0
    assert everything_cached.get(epoch_key(Bare, connection)) == LOCK


def test_a_lock_that_is_owed_again_while_the_first_is_paid_stays_owed(everything_cached, monkeypatch):
    mine = Store("cached")
    mine.breaker.open()
    mine.lock({"repository:x:1:g": 30})
    lock = stores._lock

    def meanwhile(keys, cache):
        monkeypatch.setattr(stores, "_lock", lock)
        mine._owed["repository:x:1:g"] = stores._Debt(30)  # of a write that ends now, in another thread
        return lock(keys, cache)

    monkeypatch.setattr(stores, "_lock", meanwhile)
    mine._pay(caches["cached"])
    assert mine.owed == 1
    assert store("cached").owed == 0
