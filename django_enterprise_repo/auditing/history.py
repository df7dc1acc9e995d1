"""What the write path asks of histories: who keeps one, who listens, and how a row told by signals is attributed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import router
from django.db.models import Model
from django.dispatch import Signal

from ..context import acting_user, current_context
from ..exceptions import HistoryElsewhere
from ..operations import active_operation
from .stamps import BY_HAND
from .tables import HistoryTable, own_table
from .trail import AuditTrail


def has_listeners(signal: Signal, model: type[Model], *, besides_trails: bool) -> bool:
    """Whether anybody hears ``signal`` of ``model``; ``besides_trails`` leaves the receivers of audit trails out."""
    for receivers in signal._live_receivers(model):  # those that are called, and those that are awaited
        for receiver in receivers:
            if not besides_trails or not isinstance(getattr(receiver, "__self__", None), AuditTrail):
                return True
    return False


def takes_write_path(model: type[Model]) -> bool:
    """Whether plain ``save()`` and ``delete()`` of ``model`` end in the write path, as a ``RepositoryModel``'s do."""
    return getattr(model, "takes_write_path", False)


def is_told_by_signals(model: type[Model]) -> bool:
    """Whether simple-history's receivers, and not the write path, record a save of ``model``."""
    table = own_table(model)
    return table is not None and not (table.is_trail and takes_write_path(model))


def refuse_elsewhere(table: HistoryTable, alias: str) -> None:
    """Refuse a change whose history simple-history would write on another database.

    Raises:
        HistoryElsewhere: the two could not be committed together.
    """
    records = table.records
    if not records.use_base_model_db and router.db_for_write(table.history) != alias:
        raise HistoryElsewhere(table.model)


@contextmanager
def attributed(entity: Model, alias: str) -> Iterator[None]:
    """Tell simple-history who changes ``entity``, why and when, while its signals run.

    simple-history reads them from attributes of the instance and would keep them for the next, unrelated
    save; here they end with the block. What a caller set by hand stays.
    """
    model = type(entity)
    table = own_table(model)
    if table is None or not is_told_by_signals(model):
        yield
        return
    refuse_elsewhere(table, alias)
    operation = active_operation(alias)
    reason = table.fitting_reason(current_context().reason)
    moment = None if operation is None else operation.moment
    set_here = []
    for name, value in zip(BY_HAND, (acting_user(alias), reason, moment), strict=True):
        if value is not None and not hasattr(entity, name):
            setattr(entity, name, value)
            set_here.append(name)
    try:
        yield
    finally:
        for name in set_here:
            entity.__dict__.pop(name, None)
