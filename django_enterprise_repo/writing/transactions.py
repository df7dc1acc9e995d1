"""When a write needs a transaction of its own, and when a savepoint inside somebody else's."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from django.db import connections, transaction
from django.db.models import Model
from django.db.models.signals import post_save, pre_save

from ..auditing.history import has_history
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
    return transaction.atomic(using=alias, savepoint=savepoint, durable=durable)


def around_save(model: type[Model], alias: str, *, savepoint: bool = True) -> AbstractContextManager[None]:
    """What the save of one ``model`` row needs: no transaction where it is one statement that nobody listens to."""
    if takes_several_statements(model):
        return all_or_nothing(alias, savepoint=savepoint)
    return harmless_misses(alias)


def around_set(model: type[Model], alias: str, *, savepoint: bool = True) -> AbstractContextManager[None]:
    """What a set UPDATE of ``model`` needs: nothing where all its columns are in one table."""
    if has_parents(model):
        return all_or_nothing(alias, savepoint=savepoint)
    return nullcontext()


def takes_several_statements(model: type[Model]) -> bool:
    """Whether saving a row may send more than one statement: inherited tables, a history, signal receivers."""
    return bool(
        has_parents(model) or has_history(model) or post_save.has_listeners(model) or pre_save.has_listeners(model)
    )


def has_parents(model: type[Model]) -> bool:
    """Whether a row of ``model`` is spread over several tables."""
    return bool(concrete_model(model)._meta.parents)
