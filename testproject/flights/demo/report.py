"""Measuring what a step costs and printing it so that people like to read it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from django.db import connection
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

WIDTH = 96


@dataclass
class Measured:
    """One step as it ran: the call, what came of it, statements sent and seconds taken."""

    title: str
    call: str
    lines: list[str] = field(default_factory=list)
    statements: int = 0
    seconds: float = 0.0


class Statements:
    """Counts statements without keeping their text: hundreds of thousands pass by here."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        self.count += 1
        return execute(sql, params, many, context)


@contextmanager
def measured(step: Measured) -> Any:
    """Count the statements and the time of the block into ``step``."""
    statements = Statements()
    started = time.perf_counter()
    try:
        with connection.execute_wrapper(statements):
            yield
    finally:
        step.seconds += time.perf_counter() - started
        step.statements += statements.count


class Report:
    """Collects the steps; prints them as they come, or all together as JSON."""

    def __init__(self, console: Console, *, as_json: bool) -> None:
        self.console = console
        self.as_json = as_json
        self.steps: list[Measured] = []

    def title(self, text: str, subtitle: str) -> None:
        if not self.as_json:
            self.console.print(Panel(Text(subtitle), title=text, title_align="left", width=WIDTH))

    def chapter(self, text: str) -> None:
        if not self.as_json:
            self.console.print()
            self.console.rule(text, align="left", style="dim")

    def add(self, step: Measured) -> None:
        self.steps.append(step)
        if self.as_json:
            return
        self.console.print()
        head = Table.grid(expand=True)
        head.add_column(ratio=1)
        head.add_column(justify="right")
        head.add_row(Text(step.title, style="bold"), Text(cost(step), style="cyan"))
        self.console.print(head)
        for line in step.call.splitlines():
            self.console.print(Text(f"  {line}", style="green"))
        for line in step.lines:
            self.console.print(Text(f"    {line}"))

    def close(self, summary: str) -> None:
        if self.as_json:
            print(json.dumps([asdict(step) for step in self.steps], indent=2))
            return
        self.console.print()
        self.console.print(Panel(Text(summary), width=WIDTH))


def cost(step: Measured) -> str:
    """``"3 statements, 1.2 ms"``."""
    plural = "" if step.statements == 1 else "s"
    if step.seconds >= 1:
        return f"{step.statements:,} statement{plural}, {step.seconds:.1f} s"
    return f"{step.statements:,} statement{plural}, {step.seconds * 1000:.1f} ms"
