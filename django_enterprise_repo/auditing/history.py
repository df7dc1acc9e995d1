"""Which models have a history, and how a row written through its signals is attributed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Model

from ..context import acting_user_id, current_context


def has_history(model: type[Model]) -> bool:
    """Whether django-simple-history records the changes of this model."""
    return hasattr(model._meta, "simple_history_manager_attribute")


@contextmanager
def attributed(entity: Model, alias: str) -> Iterator[None]:
    """Tell simple-history who changes ``entity`` and why, while its signals run.

    simple-history reads both from attributes of the instance and would keep them for the next, unrelated
    save; here they end with the block. What a caller set by hand stays.
    """
    if not has_history(type(entity)):
        yield
        return
    given: dict[str, Any] = {}
    context = current_context()
    if context.user is not None:
        given["_history_user"] = context.user
    elif context.user_id is not None:
        given["_history_user"] = get_user_model()._default_manager.using(alias).get(pk=acting_user_id(alias))
    if context.reason is not None:
        given["_change_reason"] = context.reason
    set_here = [name for name in given if name not in entity.__dict__]
    for name in set_here:
        setattr(entity, name, given[name])
    try:
        yield
    finally:
        for name in set_here:
            entity.__dict__.pop(name, None)
