"""All the data through ``add_all``, in chunks inside one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from django.db import transaction
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from .. import loading
from ..models import Airline, Airport, Flight, Plane, Weather
from .report import Measured, Report, measured

CHUNK = 5_000


def import_everything(report: Report, console: Console, limit: int | None) -> None:
    """Insert every row, or ``limit`` flights and hours of weather; a failure leaves an empty database."""
    airports = list(loading.airports())
    planes = list(loading.planes())
    known_airports = {airport.faa for airport in airports}
    known_planes = {plane.tailnum for plane in planes}
    tables: list[tuple[str, Any, Iterable[Any]]] = [
        ("airlines", Airline, loading.airlines()),
        ("airports", Airport, airports),
        ("planes", Plane, planes),
        ("flights", Flight, islice(loading.flights(known_planes, known_airports), limit)),
        ("weather", Weather, islice(loading.weather(), limit)),
    ]
    bar = Progress(
        TextColumn("  {task.description:<9}"),
        BarColumn(bar_width=44),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=report.as_json or not console.is_terminal,
    )
    steps = []
    with bar, transaction.atomic():
        for name, model, rows in tables:
            total = loading.ROWS[name]
            if limit is not None and name in ("flights", "weather"):
                total = min(limit, total)
            task = bar.add_task(name, total=total)
            step = Measured(f"{name}: {total:,} rows", f"{model.__name__}.objects.add_all(chunk)")
            with measured(step):
                for chunk in chunks(rows):
                    model.objects.add_all(chunk)
                    bar.advance(task, len(chunk))
            steps.append(step)
    for step in steps:
        report.add(step)


def chunks(rows: Iterable[Any]) -> Iterator[list[Any]]:
    """``rows`` in lists of bounded length."""
    iterator = iter(rows)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk
