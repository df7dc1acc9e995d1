"""What a complete history costs, against the bare statement and against simple-history."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import count
from typing import Any

from django.db import connection, transaction
from django.db.models import F, QuerySet
from simple_history.utils import bulk_create_with_history

from .measuring import Pair, rolled_back
from .models import Bare, Signalled, Trailed

_ROWS = 10_000
_CHOSEN = 5_000

_numbers = count()


def pairs() -> Iterator[Pair]:
    """On tables of 10,000 rows, which they fill."""
    for model in (Bare, Signalled, Trailed):
        QuerySet(model).bulk_create(_new(model, _ROWS), 1000)
    _analyze()
    is_postgres = connection.vendor == "postgresql"
    # First what writes little, so that every history is about as small as the others.
    yield _single("update(), audited : save() under simple-history", 0.4 if is_postgres else 0.9, nullcontext)
    yield _single("the same inside a transaction", 0.9, transaction.atomic)
    yield Pair(
        name="for comparison: save(), no history : save() under simple-history",
        ours=_saves(Bare),
        theirs=_saves(Signalled),
        target=1.0,
        rounds=200,
    )
    yield Pair(
        name="add_all() of 500 : bulk_create_with_history()",
        ours=Trailed.objects.add_all,
        theirs=lambda new: bulk_create_with_history([_as(Signalled, row) for row in new], Signalled),
        target=1.0,
        rounds=31,
        once=True,
        prepare=lambda: _new(Trailed, 500),
        around=rolled_back,
    )
    yield Pair(
        name="delete() of 500, audited : under simple-history",
        ours=lambda: _first(Trailed).delete(),
        theirs=lambda: _first(Signalled).delete(),
        target=1.0,
        rounds=15,
        once=True,
        around=rolled_back,
    )
    yield Pair(
        name="update_all() of 5,000, audited : bare UPDATE",
        ours=lambda: Trailed.objects.update_all({"group": 0}, size=F("size") + 1),
        theirs=lambda: QuerySet(Bare).filter(group=0).update(size=F("size") + 1),
        target=3.0 if is_postgres else 4.5,
        rounds=31,
        once=True,
    )


def _single(name: str, target: float, around: Callable[[], AbstractContextManager[Any]]) -> Pair:
    trailed = QuerySet(Trailed).first()
    assert trailed is not None
    return Pair(
        name=name,
        ours=lambda: Trailed.objects.update(trailed, size=next(_numbers) % 1000),
        theirs=_saves(Signalled),
        target=target,
        rounds=200,
        around=around,
    )


def _saves(model: type[Any]) -> Callable[[], None]:
    row = QuerySet(model).first()
    assert row is not None

    def save() -> None:
        row.size = next(_numbers) % 1000
        row.save()

    return save


def _new(model: type[Any], number: int) -> list[Any]:
    return [model(name=f"row {n}", code=str(n % 100), group=n % (_ROWS // _CHOSEN)) for n in range(number)]


def _as(model: type[Any], row: Any) -> Any:
    return model(name=row.name, code=row.code, group=row.group)


def _first(model: type[Any]) -> Any:
    rows = model._default_manager.order_by("pk")
    return model._default_manager.filter(pk__lt=rows[500].pk)


def _analyze() -> None:
    with connection.cursor() as cursor:
        for model in (Bare, Signalled, Trailed):
            table = connection.ops.quote_name(model._meta.db_table)
            cursor.execute(f"ANALYZE {'TABLE ' if connection.vendor == 'mysql' else ''}{table}")
