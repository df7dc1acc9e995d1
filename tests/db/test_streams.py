"""Streaming answers what iterating would, whatever the queryset, on drivers that fetch whole results too."""

from __future__ import annotations

import pytest

from tests.testapp.models import Bare, Item, Tag

pytestmark = pytest.mark.django_db


@pytest.fixture
def rows():
    return Bare.objects.add_all([Bare(name=f"{n:02}") for n in range(10)])


@pytest.mark.parametrize("chunk_size", [1, 3, 5, 10, 11])
def test_every_row_once_whatever_the_chunks(rows, chunk_size):
    assert list(Bare.objects.stream(chunk_size=chunk_size)) == rows


def test_a_reversed_queryset_loses_and_repeats_nothing(rows):
    assert sorted(row.name for row in Bare.objects.reverse().stream(chunk_size=5)) == [row.name for row in rows]


@pytest.mark.parametrize("chunk_size", [1, 2, 3, 5])
def test_rows_that_a_join_repeats_are_repeated(chunk_size):
    tags = Tag.objects.add_all([Tag(label=str(n)) for n in range(4)])
    items = Item.objects.add_all([Item(name=name) for name in "abc"])
    for item in items:
        item.tags.set(tags)

    streamed = list(Item.objects.filter(tags__label__gte="1").stream(chunk_size=chunk_size))

    assert sorted(item.pk for item in streamed) == sorted([item.pk for item in items] * 3)
