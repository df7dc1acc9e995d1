"""Ways to write rows. Each raises their versions in the database and answers what became of which row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet

from tests.stress.caching.gets import forget_by_hand

#: The mark that each row has got, 0 where the write was taken back.
Written = dict[int, int]
#: Of the model, some primary keys in order, and what makes a mark that nobody has had.
Way = Callable[[type[Any], Sequence[int], Callable[[], int]], Written]

_NEXT = F("version") + 1


def save(model: type[Any], pks: Sequence[int], new_mark: Callable[[], int]) -> Written:
    row = QuerySet(model).get(pk=pks[0])
    row.version, row.mark = _NEXT, new_mark()
    row.save()
    forget_by_hand(pks[:1])
    return {row.pk: row.mark}


def save_in_a_transaction(model: type[Any], pks: Sequence[int], new_mark: Callable[[], int]) -> Written:
    with transaction.atomic():
        row = QuerySet(model).select_for_update().get(pk=pks[0])
        row.version, row.mark = row.version + 1, new_mark()
        row.save()
        forget_by_hand(pks[:1])
    return {row.pk: row.mark}


def update_queryset(model: type[Any], pks: Sequence[int], new_mark: Callable[[], int]) -> Written:
    mark = new_mark()
    model.objects.filter(pk__in=pks).update(version=_NEXT, mark=mark)
    forget_by_hand(pks)
    return dict.fromkeys(pks, mark)


def bulk_update(model: type[Any], pks: Sequence[int], new_mark: Callable[[], int]) -> Written:
    rows = list(QuerySet(model).filter(pk__in=pks))
    for row in rows:
        row.version, row.mark = _NEXT, new_mark()
    model.objects.bulk_update(rows, ["version", "mark"])
    forget_by_hand(pks)
    return {row.pk: row.mark for row in rows}


def roll_back(model: type[Any], pks: Sequence[int], new_mark: Callable[[], int]) -> Written:
    with transaction.atomic():
        save(model, pks, new_mark)
        update_queryset(model, pks, new_mark)
        transaction.set_rollback(True)
    return dict.fromkeys(pks, 0)


def roll_back_to_a_savepoint(model: type[Any], pks: Sequence[int], new_mark: Callable[[], int]) -> Written:
    """What is outside stays, of the row that is written on both sides too."""
    with transaction.atomic():
        written = save(model, pks, new_mark)
        with transaction.atomic():
            save(model, pks, new_mark)
            bulk_update(model, pks, new_mark)
            transaction.set_rollback(True)
    return {**dict.fromkeys(pks, 0), **written}


def update_by_verb(model: type[Any], pks: Sequence[int], new_mark: Callable[[], int]) -> Written:
    row = model.objects.update(pks[0], version=_NEXT, mark=new_mark())
    return {row.pk: row.mark}


def update_all_by_verb(model: type[Any], pks: Sequence[int], new_mark: Callable[[], int]) -> Written:
    mark = new_mark()
    model.objects.filter(pk__in=pks).update_all(version=_NEXT, mark=mark)
    return dict.fromkeys(pks, mark)
