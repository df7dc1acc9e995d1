"""The processes that write and read."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.stress.caching.subjects import LOCK_TTL

ROWS = 40
HOT = 8  # rows that are written at a time
DEADLOCK = "40P01"  # as statements lock their rows in the order in which they find them
PERIOD = 1.5 * LOCK_TTL  # seconds until it is others


def hot_rows(moment: float) -> range:
    """The primary keys that are written at this moment, the same in all processes."""
    first = int(moment / PERIOD) * HOT % ROWS
    return range(first + 1, first + HOT + 1)


def write(number: int, path: Path, begin: Any, seconds: float) -> None:
    """A process that writes."""
    subject, model = _set_up()
    from django.db import OperationalError

    from tests.stress.caching import ways
    from tests.stress.caching.history import Log, Write

    luck = random.Random(number)
    log = Log()
    marks: list[int] = []

    def new_mark() -> int:
        marks.append((number + 1 << 40) + len(marks) + 1)
        return marks[-1]

    begin.wait(60)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pks = sorted(luck.sample(hot_rows(time.monotonic()), 3))
        way: ways.Way = getattr(ways, luck.choice(subject.ways))
        began = time.monotonic_ns()
        try:
            written = way(model, pks, new_mark)
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) != DEADLOCK:
                raise
            written = dict.fromkeys(pks, 0)
        ended = time.monotonic_ns()
        for pk, mark in written.items():
            log.note(Write(pk, mark, began, ended))
        time.sleep(luck.random() * 0.004)
    log.save(path)


def read(number: int, path: Path, begin: Any, seconds: float) -> None:
    """A process that reads."""
    subject, model = _set_up()
    from django.db import connection

    from tests.stress.caching import gets
    from tests.stress.caching.history import Get, Log

    luck = random.Random(-number - 1)
    log = Log()
    get: Callable[[type[Any], int], Any] = getattr(gets, subject.get)
    statements = 0

    def count(execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
        nonlocal statements
        statements += 1
        return execute(sql, params, many, context)

    with connection.execute_wrapper(count):
        begin.wait(60)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            pk = luck.choice(hot_rows(time.monotonic())) if luck.random() < 0.5 else luck.randrange(ROWS) + 1
            before = statements
            began = time.monotonic_ns()
            row = get(model, pk)
            ended = time.monotonic_ns()
            log.note(Get(pk, began, ended, row.version, row.mark, int(statements == before)))
    log.save(path)


def _set_up() -> tuple[Any, type[Any]]:
    import django
    from django.apps import apps
    from django.conf import settings

    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.stress.caching.settings"
    django.setup()
    return settings.SUBJECT, apps.get_model("stress", settings.SUBJECT.model)
