"""Time one action of a neighbour: a line with a number in, a line with the seconds of one call out."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from itertools import count
from typing import Any

import django
from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext


def main() -> None:
    django.setup()
    from benchmarks.measuring import timed
    from benchmarks.neighbours.models import Row

    with connection.schema_editor() as editor:
        editor.create_model(Row)
    row = Row(name="n", code="n", group=1)
    row.save()
    call = ACTIONS[settings.ACTION](Row, row)
    try:
        for line in sys.stdin:
            print(timed(call, int(line)), flush=True)
    finally:
        with connection.schema_editor() as editor:
            editor.delete_model(Row)
        client = cache.client.get_client()
        for key in client.scan_iter(f"*{settings.PREFIX}*"):
            client.unlink(key)


def _get(model: type[Any], row: Any) -> Callable[[], Any]:
    def get() -> Any:
        return model.objects.get(pk=row.pk)

    with CaptureQueriesContext(connection) as captured:
        get()
    assert len(captured) == 1
    return get


def _hit(model: type[Any], row: Any) -> Callable[[], Any]:
    time.sleep(settings.LOCK_SECONDS + 0.5)  # to create the table was to write it
    get = _get(model, row)
    with CaptureQueriesContext(connection) as captured:
        get()
    assert not captured.captured_queries, "it is cached by now"
    return get


def _update(model: type[Any], row: Any) -> Callable[[], Any]:
    numbers = count()
    return lambda: model.objects.update(row, size=next(numbers) % 1000)


ACTIONS = {"get": _get, "hit": _hit, "update": _update}


if __name__ == "__main__":
    main()
