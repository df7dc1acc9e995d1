"""The save of one ``RepositoryModel``, whoever calls it: a verb, ``save()``, a form, the admin, loaddata.

Django's ``save_base`` stays in charge of signals, parents and the choice between UPDATE and INSERT. Ours runs
around it (scope, transaction, attribution) and inside it, at each table (concerns).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import Any

from django.db import router
from django.db.models import Field, Model, QuerySet

from ..auditing.history import attributed, is_told_by_signals
from ..auditing.trail import take_mark
from ..operations import Attempt, run
from . import caches, path
from .change import Change, Update
from .misses import harmless_misses
from .pending import Pending, active_change, current_change, take_pending
from .specs import write_spec
from .transactions import all_or_nothing, takes_several_statements
from .versions import version_field


def save_base(
    entity: Model,
    send: Callable[..., None],
    *,
    raw: bool,
    force_insert: Any,
    force_update: bool,
    using: str | None,
    update_fields: Iterable[str] | None,
) -> None:
    """Run Django's ``save_base``, given as ``send``, as one change."""
    model = type(entity)
    alias = using or router.db_for_write(model, instance=entity)
    take_mark(entity)  # of an earlier write
    told = take_pending(entity)
    pending = told or Pending()
    savepoint = pending.savepoint
    written = _with_version(model, update_fields)

    def body(attempt: Attempt) -> None:
        if told is None and path.concerns_of(model):  # a verb remembers its entity by itself
            attempt.remember(entity)
        several = takes_several_statements(model)
        with ExitStack() as stack:
            stack.enter_context(all_or_nothing(alias, savepoint=savepoint) if several else harmless_misses(alias))
            if is_told_by_signals(model):
                stack.enter_context(attributed(entity, alias))
            change = Change(
                operation=attempt.operation,
                model=model,
                alias=alias,
                kind="+" if entity._state.adding else "~",
                rows=(entity.pk,),
                fields=None if written is None else frozenset(written),
                entity=entity,
                intent=pending.intent,
                marker=pending.marker,
                raw=raw,
                begin=None if several else _begin_once(stack, alias, savepoint),
            )
            stack.enter_context(active_change(entity, change))
            path.prepare(change)
            send(
                raw=raw,
                force_insert=force_insert,
                force_update=force_update,
                using=alias,
                update_fields=written,
            )

    run(write_spec("save", model, alias), body)


def _begin_once(stack: ExitStack, alias: str, savepoint: bool) -> Callable[[], None]:
    """Opens a transaction in ``stack`` at the first call."""
    begun: list[bool] = []

    def begin() -> None:
        if not begun:
            begun.append(True)
            stack.enter_context(all_or_nothing(alias, savepoint=savepoint))

    return begin


def update_table(
    entity: Model,
    rows: QuerySet[Any],
    values: Mapping[Field[Any, Any], Any],
    sender: Callable[[Update], Any],
    *,
    pk: Any,
    returns_columns: bool,
) -> Any:
    """UPDATE one table of ``entity`` with the concerns of the change it belongs to."""
    change = current_change(entity)
    statement = Update(rows, values, sender, returns_columns=returns_columns, pk=pk)
    if change is None:
        return caches.send_fenced(type(entity), rows.db, pk, statement)  # of loaddata, past our save_base()
    return path.fold(change, statement).send()


def table_saved(entity: Model, updated: Any) -> None:
    """The last table of ``entity`` is written and ``post_save`` comes next."""
    change = current_change(entity)
    if change is not None:
        path.applied(change, updated)


def _with_version(model: type[Model], update_fields: Iterable[str] | None) -> Iterable[str] | None:
    field = version_field(model)
    if update_fields is None or field is None:
        return update_fields
    return frozenset({*update_fields, field.name})
