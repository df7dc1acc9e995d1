"""Who acts, why, and on behalf of which request.

The values live in a context variable, so they follow ``await``, ``sync_to_async`` and nested calls, and end
with the ``with`` block. A verb's own ``user=``, ``user_id=`` and ``reason=`` open such a block around it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import Model

from .exceptions import InvalidArgument, InvalidArgumentType


class OperationContext(NamedTuple):
    """What is known about the caller; a missing part is ``None``.

    ``user_id`` is a primary key or the user model's natural key.
    """

    user: Model | None = None
    user_id: Any = None
    reason: str | None = None
    correlation_id: str | None = None


_NOBODY = OperationContext()
_current: ContextVar[OperationContext] = ContextVar("repository_context", default=_NOBODY)


def current_context() -> OperationContext:
    """The innermost context of this thread or task."""
    return _current.get()


@contextmanager
def operation_context(
    *,
    user: Any = None,
    user_id: Any = None,
    reason: str | None = None,
    correlation_id: str | None = None,
) -> Iterator[OperationContext]:
    """Attribute every change inside the block; parts that are not given stay as they were outside.

    Raises:
        InvalidArgument: both ``user`` and ``user_id`` were given, or the user has no primary key.
        InvalidArgumentType: ``user`` is not a model instance, or ``reason`` is not text.
    """
    given: dict[str, Any] = {}
    if user is not None and user_id is not None:
        raise InvalidArgument("Give either user= or user_id=, not both.")
    if user is not None:
        given.update(user=_known(user), user_id=None)
    if user_id is not None:
        given.update(user=None, user_id=user_id)
    if reason is not None:
        given["reason"] = _text(reason, "reason")
    if correlation_id is not None:
        given["correlation_id"] = _text(correlation_id, "correlation_id")
    context = _current.get()._replace(**given)
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)


def _known(user: Any) -> Model | None:
    if getattr(user, "is_anonymous", False):
        return None
    if not hasattr(user, "_meta"):
        # request.user is a lazy object and passes here too: it answers for the user it wraps
        raise InvalidArgumentType(f"user= takes a user, not {type(user).__name__}; use user_id= for a key.")
    if user.pk is None:
        raise InvalidArgument("user= takes a saved user; this one has no primary key.")
    return user  # type: ignore[no-any-return]  # a user or a lazy stand-in for one


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise InvalidArgumentType(f"{name}= takes text, not {type(value).__name__}.")
    return value


def acting_user_id(alias: str) -> Any:
    """Primary key of the acting user, or ``None``. A natural key costs one query on ``alias``.

    Raises:
        InvalidArgument: ``user_id`` is neither a primary key nor a natural key of a user.
    """
    context = _current.get()
    if context.user is not None:
        return context.user.pk
    if context.user_id is None:
        return None
    model = get_user_model()
    try:
        return model._meta.pk.to_python(context.user_id)
    except (ValidationError, TypeError, ValueError):
        pass  # not of the key's type, so it can only be a natural key
    try:
        manager = model._default_manager.db_manager(alias)
        return manager.get_by_natural_key(context.user_id).pk
    except (AttributeError, TypeError, model.DoesNotExist):
        raise InvalidArgument("user_id= is neither a primary key nor a natural key of a user.") from None
