"""When a write needs a transaction of its own, and when a savepoint inside somebody else's."""

from __future__ import annotations

from contextlib import AbstractContextManager

from django.db import connections, transaction
from django.db.models import Model
from django.db.models.signals import post_save, pre_save

from ..auditing.family import relatives_of
from ..auditing.history import has_listeners, takes_write_path
from ..auditing.tables import tables_of
from ..soft_delete.markers import can_be_soft_deleted
from . import operation_ledger
from .arguments import concrete_model
from .misses import harmless_misses


def in_outer_transaction(alias: str) -> bool:
    """Whether somebody else's transaction is open. The ones that ``TestCase`` opens don't count."""
    connection = connections[alias]
    if not connection.in_atomic_block:
        return False
    blocks = getattr(connection, "atomic_blocks", ())
    return not blocks or not blocks[-1]._from_testcase


def all_or_nothing(alias: str, *, savepoint: bool = True, durable: bool = False) -> AbstractContextManager[None]:
    """A transaction, or inside somebody else's a savepoint, unless the caller does without.

    Without a savepoint a failure leaves the outer transaction fit only for a rollback. ``durable`` refuses to
    be inside another transaction.
    """
    savepoint = savepoint or not in_outer_transaction(alias)
    block = transaction.atomic(using=alias, savepoint=savepoint, durable=durable)
    return operation_ledger.settled(alias, block)


def around_save(model: type[Model], alias: str, *, savepoint: bool = True) -> AbstractContextManager[None]:
    """What the save of one ``model`` row needs: no transaction where it is one statement that nobody listens to."""
    if takes_several_statements(model):
        return all_or_nothing(alias, savepoint=savepoint)
    return harmless_misses(alias)


def around_set(model: type[Model], alias: str, *, savepoint: bool = True) -> AbstractContextManager[None]:
    """What a set UPDATE of ``model`` needs: nothing where one statement does it, its history included."""
    is_one = is_recorded_in_one_statement(model, alias) and not (operation_ledger.is_kept() and tables_of(model))
    if has_parents(model) or not is_one:
        return all_or_nothing(alias, savepoint=savepoint)
    # As Django's own update(): what fails inside somebody's transaction must not be committed around.
    mark: AbstractContextManager[None] = transaction.mark_for_rollback_on_error(using=alias)
    return mark


def is_recorded_in_one_statement(model: type[Model], alias: str) -> bool:
    """Whether an UPDATE of ``model`` records what it changes by itself, or has nothing to record.

    PostgreSQL can, for models of one table with one history, whose rows no Python has to make and nobody shares.
    """
    tables, vendor = tables_of(model), connections[alias].vendor
    if relatives_of(model):
        return False
    if not tables:
        return True
    return (
        vendor == "postgresql" and len(tables) == 1 and not has_parents(model) and not tables[0].needs_objects(vendor)
    )


def takes_several_statements(model: type[Model]) -> bool:
    """Whether saving a row may send more than one statement: inherited tables, receivers, a plain model's marker.

    The history of an audit trail is not counted where the write path keeps it: whether that takes a statement of
    its own is known when the first one is made, and then ``Change.begin`` opens the transaction.
    """
    is_ours = takes_write_path(model)
    return (
        has_parents(model)
        or (not is_ours and (model.save is not Model.save or can_be_soft_deleted(model) or bool(relatives_of(model))))
        or has_listeners(post_save, model, besides_trails=is_ours)
        or has_listeners(pre_save, model, besides_trails=is_ours)
    )


def has_parents(model: type[Model]) -> bool:
    """Whether a row of ``model`` is spread over several tables."""
    return bool(concrete_model(model)._meta.parents)
