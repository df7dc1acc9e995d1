"""How long a history is kept: which of its rows may go, and how they go without holding anybody up.

Old rows are walked through in batches along the primary key of the history. Which of a batch may go is read without
locks; those are deleted by their keys, in a transaction of their own. An interruption therefore costs the batch at
hand, and the next run goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import router, transaction
from django.db.models import Case, Exists, F, Model, OuterRef, Q, QuerySet, Value, When, Window
from django.db.models.functions import FirstValue, Lag, RowNumber
from django.utils import timezone

from ..exceptions import InvalidArgument, InvalidArgumentType
from ..policies import RetentionPolicy
from .keys import key_fields
from .tables import HistoryTable, own_table

#: Rows of a history that one transaction deletes at most.
BATCH_SIZE = 5000

# As many keys as every engine takes in one statement and still looks up by the index.
_MOST_KEYS = 10_000


class PruneResult(NamedTuple):
    """What a prune has come to, at its end or so far.

    Attributes:
        model: label of the model.
        old: rows of its history that are older than the period, and were looked at.
        rows: those of them that were deleted, or would be.
        m2m_rows: rows of its many-to-many histories that go with them.
        batches: transactions that were committed.
    """

    model: str
    old: int = 0
    rows: int = 0
    m2m_rows: int = 0
    batches: int = 0


def prune_history(
    model: type[Model],
    policy: RetentionPolicy | None = None,
    *,
    using: str | None = None,
    batch_size: int = BATCH_SIZE,
    dry_run: bool = False,
    progress: Callable[[PruneResult], object] | None = None,
) -> PruneResult:
    """Delete the rows of a history that ``policy`` no longer keeps, in batches that are committed one by one.

    Args:
        model: a model with a history of its own.
        policy: that of the model's repository when left out.
        using: the database; the one that the history is written to when left out.
        batch_size: rows that one transaction deletes at most, up to 10,000.
        dry_run: count what would go, and write nothing.
        progress: called after each batch with the result so far. What it raises ends the work, between two batches.

    Raises:
        InvalidArgument: there is no history or no policy, or ``batch_size`` is out of range.
        InvalidArgumentType: ``policy`` is something else.
        RuntimeError: a transaction is open, in which no batch could be committed.
    """
    table = own_table(model)
    if table is None:
        raise InvalidArgument(f"{model._meta.label} has no history of its own.")
    policy = retention_of(model) if policy is None else policy
    if policy is None:
        raise InvalidArgument(f"{model._meta.label} has no retention policy.")
    if not isinstance(policy, RetentionPolicy):
        raise InvalidArgumentType(f"A history is pruned by a RetentionPolicy, not by {type(policy).__name__}.")
    if type(batch_size) is not int or not 1 <= batch_size <= _MOST_KEYS:
        raise InvalidArgument(f"batch_size is an int from 1 to {_MOST_KEYS:,}.")

    result = PruneResult(table.model._meta.label)
    if policy.history is None:
        return result
    before = timezone.now() - policy.history
    rows: QuerySet[Any] = QuerySet(table.history, using=using or _home(table))
    old = rows.filter(history_date__lt=before)
    if dry_run:
        return _counted(table, old, old.filter(pk__in=_prunable(table, rows, policy, before)), result)
    # A last row that tells of a deletion lets the rows before it go. It goes after them, or else whoever comes back
    # after an interruption would take one of them for the last.
    for kinds in (old.exclude(history_type="-"), old.filter(history_type="-")):
        for keys in _batches(kinds, batch_size):
            batch = kinds.filter(pk__range=(keys[0], keys[-1]))
            prunable = _prunable(table, _with_same_keys(table, rows, batch), policy, before)
            going = list(batch.filter(pk__in=prunable).order_by("pk").values_list("pk", flat=True))
            result = result._replace(old=result.old + len(keys))
            if going:
                result = _delete(table, going, rows.db, result)
            if progress is not None:
                progress(result)
    return result


def retention_of(model: type[Model]) -> RetentionPolicy | None:
    """The policy of the model's first repository that has one."""
    policies = (getattr(manager, "retention", None) for manager in model._meta.managers)
    return next((policy for policy in policies if isinstance(policy, RetentionPolicy)), None)


def _home(table: HistoryTable) -> str:
    """The database that the history is written to by default."""
    return router.db_for_write(table.model if table.records.use_base_model_db else table.history)


def _prunable(table: HistoryTable, rows: QuerySet[Any], policy: RetentionPolicy, before: datetime) -> QuerySet[Any]:
    """Keys of the history rows that ``policy`` doesn't keep when its period begins at ``before``.

    Args:
        rows: a whole history, or all that it has of some of the model's rows.
    """
    key = [F(field.attname) for field in key_fields(table.model)]
    latest_first = [F("history_date").desc(), F("history_id").desc()]
    is_old_deletion = Case(When(history_type="-", history_date__lt=before, then=Value(1)), default=Value(0))
    # One sort of all versions, where asking for each row what came after it is quadratic in the versions of a row.
    # The names begin as simple-history's own columns do, so no model has them.
    ranked = rows.annotate(
        history_rank=Window(RowNumber(), partition_by=key, order_by=latest_first),
        history_superseded=Window(Lag("history_date"), partition_by=key, order_by=latest_first),
        history_is_over=Window(FirstValue(is_old_deletion), partition_by=key, order_by=latest_first),
    )
    may_go = Q(history_rank__gt=policy.keep_versions)
    if policy.keep_baseline:
        may_go &= Q(history_superseded__lt=before)
    if not policy.keep_deleted:
        may_go |= Q(history_is_over=1)
    prunable: QuerySet[Any] = ranked.filter(may_go)
    return prunable.values("pk")


def _with_same_keys(table: HistoryTable, rows: QuerySet[Any], batch: QuerySet[Any]) -> QuerySet[Any]:
    """All history that those of the model's rows have which ``batch`` is about."""
    same = {field.attname: OuterRef(field.attname) for field in key_fields(table.model)}
    return rows.filter(Exists(batch.filter(**same)))


def _batches(rows: QuerySet[Any], size: int) -> Iterator[Sequence[Any]]:
    """The keys of ``rows`` in their order, ``size`` at a time; each batch starts where the one before ended."""
    keys = rows.order_by("pk").values_list("pk", flat=True)
    batch = list(keys[:size])
    while batch:
        yield batch
        batch = list(keys.filter(pk__gt=batch[-1])[:size]) if len(batch) == size else []


def _delete(table: HistoryTable, keys: Sequence[Any], alias: str, result: PruneResult) -> PruneResult:
    """Delete the history rows with these keys, and answer ``result`` with them."""
    with transaction.atomic(using=alias, durable=True):
        m2m_rows = sum(_belonging(history, keys, alias).delete()[0] for history in _m2m_histories(table))
        _, deleted = QuerySet(table.history, using=alias).filter(pk__in=keys).delete()
    return result._replace(
        rows=result.rows + deleted.get(table.history._meta.label, 0),
        m2m_rows=result.m2m_rows + m2m_rows,
        batches=result.batches + 1,
    )


def _counted(table: HistoryTable, old: QuerySet[Any], going: QuerySet[Any], result: PruneResult) -> PruneResult:
    keys = going.values("pk")
    m2m_rows = sum(_belonging(history, keys, going.db).count() for history in _m2m_histories(table))
    return result._replace(old=old.count(), rows=going.count(), m2m_rows=m2m_rows)


def _m2m_histories(table: HistoryTable) -> list[Any]:
    """The histories of the model's many-to-many relations."""
    return [table.records.m2m_models[field] for field in table.history._history_m2m_fields]


def _belonging(history: Any, keys: Any, alias: str) -> QuerySet[Any]:
    """The rows of a many-to-many history that belong to the model's history rows with these keys."""
    return QuerySet(history, using=alias).filter(history_id__in=keys)
