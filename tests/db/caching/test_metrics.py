"""What the cache is asked is in the metrics, and metrics that fail fail nobody."""

from __future__ import annotations

import logging

import pytest

from django_enterprise_repo.caching.counters import cache_counts
from tests.db.caching.conftest import expire_locks
from tests.db.observability.test_listening import exploding_metrics
from tests.testapp.models import Item

prometheus_client = pytest.importorskip("prometheus_client")

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("everything_cached")]

__all__ = ["exploding_metrics"]


class Growth:
    """How much the counters of one model have grown since this was made."""

    def __init__(self) -> None:
        self._before = self._all()

    def of(self, name, **labels):
        key = (f"repository_cache_{name}_total", labels.get("event"))
        return self._all().get(key, 0) - self._before.get(key, 0)

    @staticmethod
    def _all():
        return {
            (sample.name, sample.labels.get("event")): sample.value
            for metric in prometheus_client.REGISTRY.collect()
            for sample in metric.samples
            if sample.labels.get("model") == "testapp.Item"
        }


@pytest.fixture
def item(everything_cached):
    """A row that nobody has written for a while."""
    item = Item.objects.add(Item(name="a"))
    expire_locks(everything_cached)
    return item


@pytest.fixture
def growth(item):
    return Growth()


def test_hits_misses_and_fills_are_counted(growth, item):
    Item.objects.get(item.pk)
    Item.objects.get(item.pk)
    Item.objects.get_many([item.pk])
    Item.objects.update(item, stock=1)
    Item.objects.get(item.pk)
    Item.objects.get(item.pk, fresh=True)

    assert growth.of("hits") == 2
    assert growth.of("misses", event="miss") == 1
    assert growth.of("misses", event="locked") == 1
    assert growth.of("fills", event="filled") == 1


def test_metrics_that_raise_are_reported_once_and_break_no_read(item, exploding_metrics, caplog):
    caplog.set_level(logging.DEBUG, "django_enterprise_repo")
    before = cache_counts.of(Item).hit

    for _ in range(3):
        assert Item.objects.get(item.pk) == item

    reports = [record for record in caplog.records if record.getMessage() == "sink_failed"]
    assert [(record.sink, record.error_type) for record in reports] == [("metrics", "OSError")]
    assert cache_counts.of(Item).hit == before + 2
    assert "kanari" not in caplog.text
