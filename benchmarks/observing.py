"""What metrics and logs cost: a read by primary key with and without somebody who listens to operations."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from django.db import connections
from django.db.models import QuerySet

from django_enterprise_repo.observability import listening
from django_enterprise_repo.operations import Observer, Operation, OperationSpec, observe_with

from .measuring import Pair
from .models import Trailed


def pairs() -> Iterator[Pair]:
    """Both sides are Django's ``get``; ours also makes the operation that a repository would, observed or not.

    So the ratio is what listening adds to Django's own read, and nothing else of a repository.
    """
    row = Trailed.objects.create(name="o", code="o", group=1)
    logging.getLogger("django_enterprise_repo").setLevel(logging.INFO)
    listening.start()
    listener: Any = listening._listener
    rows = QuerySet(Trailed)
    spec = OperationSpec("get", Trailed, "default")
    what = "metrics and logs" if find_spec("prometheus_client") else "counts and logs"

    def read(observer: Observer | None) -> None:
        observe_with(observer)
        operation = Operation(spec, connections["default"])
        rows.get(pk=row.pk)
        operation.finish(None)

    yield Pair(
        name=f"Django's get(pk=…) with {what} at INFO : without",
        ours=lambda: read(listener),
        theirs=lambda: read(None),
        target=1.02,
        rounds=400,
    )
    yield Pair(
        name=f"for comparison: get(pk=…) of a repository with {what} : without",
        ours=lambda: _observed(listener, row.pk),
        theirs=lambda: _observed(None, row.pk),
        target=1.02,
        rounds=400,
    )
    observe_with(listener)


def _observed(observer: Observer | None, pk: Any) -> None:
    observe_with(observer)
    Trailed.objects.get(pk=pk)
