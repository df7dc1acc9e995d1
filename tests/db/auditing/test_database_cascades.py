"""Rows that the database itself deletes or sets to null, by Django 6.1's on_delete variants, are on record."""

from __future__ import annotations

import pytest
from django.db import models

if not hasattr(models, "DB_CASCADE"):
    pytest.skip("Django 6.1 and later", allow_module_level=True)

from tests.testapp.models import Part, Whole

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    "delete",
    [
        lambda whole: whole.delete(),
        lambda whole: Whole.objects.delete(whole),
        lambda whole: Whole.objects.filter(pk=whole.pk).delete(),
        lambda whole: Whole.objects.delete_all({"name": "a"}),
    ],
)
def test_what_the_database_does_is_recorded(delete):
    whole, other = Whole.objects.add_all([Whole(name=name) for name in "ab"])
    part = Part.objects.add(Part(whole=whole))
    inner = Part.objects.add(Part(whole=whole, outer=part))
    kept = Part.objects.add(Part(whole=other, seen_by=whole))
    before = set(Part.history.values_list("history_id", flat=True))

    delete(whole)

    assert list(Part.objects.values_list("pk", "seen_by")) == [(kept.pk, None)]
    rows = Part.history.exclude(history_id__in=before).order_by("history_type", "id")
    assert [(row.history_type, row.id) for row in rows] == [("-", part.pk), ("-", inner.pk), ("~", kept.pk)]
    assert rows.last().seen_by_id is None
    assert len({row.history_operation_id for row in rows}) == 1
