"""``manage.py repository_audit``: look after the histories of audited models."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from time import monotonic
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError, CommandParser, OutputWrapper
from django.db import connections, router
from django.db.models import Model

from ...auditing.retention import BATCH_SIZE, PruneResult, prune_history, retention_of
from ...auditing.tables import own_table
from ...exceptions import InvalidArgument
from ...policies import RetentionPolicy


class Command(BaseCommand):
    help = "Look after the histories of audited models."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="action")
        prune = actions.add_parser("prune", help="delete the history that retention policies no longer keep")
        prune.add_argument(
            "models", nargs="*", metavar="app.Model", help="left out: every model whose repository has a policy"
        )
        prune.add_argument("--older-than", type=int, metavar="DAYS", help="the period, in the place of the policies'")
        prune.add_argument("--database", choices=tuple(connections), help="where the histories are")
        prune.add_argument(
            "--batch-size", type=int, default=BATCH_SIZE, metavar="ROWS", help="rows a transaction (%(default)s)"
        )
        prune.add_argument("--dry-run", action="store_true", help="count what would go, and write nothing")
        prune.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        database, dry_run = options["database"], options["dry_run"]
        models = _named(options["models"]) if options["models"] else _with_policy(database)
        plan = [(model, _policy(model, options["older_than"])) for model in models]
        if not plan:
            raise CommandError("No model with a history has a retention policy.")
        progress = _Progress(self.stderr) if options["verbosity"] else None
        results = []
        try:
            for model, policy in plan:
                result = prune_history(
                    model,
                    policy,
                    using=database,
                    batch_size=options["batch_size"],
                    dry_run=dry_run,
                    progress=progress,
                )
                results.append(result)
        except InvalidArgument as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            raise CommandError("Interrupted. The batches so far are committed; the next run goes on.") from None
        if options["json"]:
            document = {"dry_run": dry_run, "models": [result._asdict() for result in results]}
            self.stdout.write(json.dumps(document, indent=2))
        else:
            self.stdout.write("\n".join(_table(results, dry_run)))


class _Progress:
    """Says how far it has come, now and then."""

    seconds = 2.0

    def __init__(self, stream: OutputWrapper) -> None:
        self._stream = stream
        self._due = monotonic() + self.seconds

    def __call__(self, result: PruneResult) -> None:
        if monotonic() < self._due:
            return
        self._due = monotonic() + self.seconds
        line = f"{result.model}: {result.old:,} old rows looked at, {result.rows:,} deleted"
        self._stream.write(line, style_func=str)  # not in the colour of errors


def _named(labels: Sequence[str]) -> list[type[Model]]:
    models = dict.fromkeys(_model(label) for label in labels)
    for model in models:
        if own_table(model) is None:
            raise CommandError(f"{model._meta.label} has no history of its own.")
    return list(models)


def _model(label: str) -> type[Model]:
    try:
        return apps.get_model(label)
    except (LookupError, ValueError):
        raise CommandError(f"There is no model {label!r}; models are named app.Model.") from None


def _with_policy(database: str | None) -> Iterator[type[Model]]:
    for model in apps.get_models():
        table = own_table(model)
        if table is None or model._meta.proxy or retention_of(model) is None:
            continue
        if database is None or router.allow_migrate_model(database, table.history):
            yield model


def _policy(model: type[Model], days: int | None) -> RetentionPolicy:
    policy = retention_of(model)
    if days is None:
        if policy is None:
            raise CommandError(f"{model._meta.label} has no retention policy; give --older-than.")
        return policy
    try:
        return replace(policy or RetentionPolicy(), history=timedelta(days=days))
    except (OverflowError, ValueError):
        raise CommandError("--older-than is a number of days, from 1 to 365,000.") from None


def _table(results: Sequence[PruneResult], dry_run: bool) -> Iterator[str]:
    """A line for each model, in columns."""
    rows = [("model", "old", "to delete" if dry_run else "deleted", "many-to-many")]
    rows += [(result.model, f"{result.old:,}", f"{result.rows:,}", f"{result.m2m_rows:,}") for result in results]
    name, *numbers = (max(len(cell) for cell in column) for column in zip(*rows, strict=True))
    for label, *cells in rows:
        figures = (cell.rjust(width) for cell, width in zip(cells, numbers, strict=True))
        yield "  ".join((label.ljust(name), *figures))
