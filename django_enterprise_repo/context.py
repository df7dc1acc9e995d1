"""Who acts, why, and on behalf of which request.

The values live in a context variable, so they follow ``await``, ``sync_to_async`` and nested calls, and end
with their block. A verb's own ``user=``, ``user_id=`` and ``reason=`` open such a block around it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import wraps
from inspect import isasyncgenfunction, isgeneratorfunction
from typing import Any, TypeVar, cast

from asgiref.sync import iscoroutinefunction
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import DataError, router
from django.db.models import Model
from django.utils.functional import LazyObject, empty

from .correlation import MAX_LENGTH
from .exceptions import InvalidArgument, InvalidArgumentType

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class OperationContext:
    """What is known about the caller; a missing part is ``None``.

    Attributes:
        user: a user, or a lazy object that stands for one until somebody asks.
        user_id: a user's primary key, or the user model's natural key.
        reason: why, in words for people.
        correlation_id: ties together what one request caused.
    """

    user: Any = None
    user_id: Any = None
    reason: str | None = None
    correlation_id: str | None = None
    # Users that were looked up for user_id, by database alias: once a context, however many rows it changes.
    _found: dict[str, Model] = field(default_factory=dict, init=False, repr=False, compare=False)


# Compared by identity: asgiref compares the values of context variables when it carries them from one thread to
# another, and comparing two contexts would wake their lazy users.
@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    """A block that is open: what it says, and the frame around it."""

    context: OperationContext
    block: object = None
    outer: _Frame | None = None


_NOBODY = _Frame(OperationContext())
_current: ContextVar[_Frame] = ContextVar("repository_context", default=_NOBODY)


def current_context() -> OperationContext:
    """The innermost context of this thread or task."""
    return _current.get().context


class operation_context:  # noqa: N801  # used like a function, as the context managers of the standard library
    """Attribute every change inside the block; parts that are not given stay as they were outside.

    Works in ``with`` and ``async with``, and as a decorator of functions and coroutines. One object may be entered
    many times, also at once. A new thread starts without a context: hand it on as
    ``operation_context(current_context())``.

    Args:
        context: a context to start from, in the place of the one outside.
        user: a saved user, an anonymous one (who stands for nobody), or a lazy stand-in for either.
        user_id: a user's primary key or natural key (a value, or a tuple of several), in the place of ``user``.
        reason: why, of any length.
        correlation_id: ties the changes to a request.

    Raises:
        InvalidArgument: both ``user`` and ``user_id`` were given, the user has no primary key, or the correlation id
            is too long for a history.
        InvalidArgumentType: ``user`` is not a user, another part is not text, or a generator is decorated, whose
            body would run after the block.
    """

    def __init__(
        self,
        context: OperationContext | None = None,
        /,
        *,
        user: Any = None,
        user_id: Any = None,
        reason: str | None = None,
        correlation_id: str | None = None,
    ) -> None:
        given: dict[str, Any] = {}
        if user is not None and user_id is not None:
            raise InvalidArgument("Give either user= or user_id=, not both.")
        if user is not None:
            given.update(user=_acceptable(user), user_id=None)
        if user_id is not None:
            given.update(user=None, user_id=user_id)
        if reason is not None:
            given["reason"] = _text(reason, "reason")
        if correlation_id is not None:
            given["correlation_id"] = _text(correlation_id, "correlation_id")
            if len(correlation_id) > MAX_LENGTH:
                raise InvalidArgument(f"A correlation id has at most {MAX_LENGTH} characters.")
        if context is not None and not isinstance(context, OperationContext):
            raise InvalidArgumentType(f"operation_context() takes an OperationContext, not {type(context).__name__}.")
        self._base = context
        self._given = given

    def __enter__(self) -> OperationContext:
        outer = _current.get()
        base = outer.context if self._base is None else self._base
        context = replace(base, **self._given) if self._given else base
        _current.set(_Frame(context, self, outer))
        return context

    def __exit__(self, *error: object) -> None:
        frame: _Frame | None = _current.get()
        # A generator that was left off inside this block may have left one of its own open; and a generator that is
        # thrown away may end its block where it was never opened.
        while frame is not None and frame.block is not self:
            frame = frame.outer
        if frame is not None and frame.outer is not None:
            _current.set(frame.outer)

    async def __aenter__(self) -> OperationContext:
        return self.__enter__()

    async def __aexit__(self, *error: object) -> None:
        self.__exit__(*error)

    def __call__(self, function: F) -> F:
        if isgeneratorfunction(function) or isasyncgenfunction(function):
            raise InvalidArgumentType("operation_context() decorates no generators; open the block inside.")

        if iscoroutinefunction(function):

            @wraps(function)
            async def within_async(*args: Any, **kwargs: Any) -> Any:
                with self:
                    return await function(*args, **kwargs)

            return cast("F", within_async)

        @wraps(function)
        def within(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return cast("F", within)


class carried_context:  # noqa: N801  # as above
    """The context of where this was made, to be gone on with step by step elsewhere.

    A block that is open when a step ends is open again at the next one. Steps follow each other and don't overlap.
    """

    def __init__(self) -> None:
        self._frame = _current.get()

    def __enter__(self) -> None:
        self._outer = _current.get()
        _current.set(self._frame)

    def __exit__(self, *error: object) -> None:
        self._frame = _current.get()
        _current.set(self._outer)


def _acceptable(user: Any) -> Any:
    """``user`` as the context keeps it: a lazy object is not woken, an anonymous user is nobody."""
    if isinstance(user, LazyObject) and user.__dict__["_wrapped"] is empty:
        return user
    return _known(user)


def _known(user: Any) -> Model | None:
    if user is None or getattr(user, "is_anonymous", False):
        return None
    if not isinstance(user, get_user_model()):
        kind = user.__name__ if isinstance(user, type) else type(user).__name__
        raise InvalidArgumentType(f"user= takes a user, not {kind}; use user_id= for a key.")
    if user.pk is None:
        raise InvalidArgument("user= takes a saved user; this one has no primary key.")
    return user


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise InvalidArgumentType(f"{name}= takes text, not {type(value).__name__}.")
    return value


def acting_user_id(alias: str) -> Any:
    """Primary key of the acting user, or ``None``.

    Raises:
        InvalidArgument: as :func:`acting_user`.
    """
    user = acting_user(alias)
    return None if user is None else user.pk


def acting_user(alias: str) -> Model | None:
    """The acting user, or ``None``. A ``user_id`` costs one query on ``alias``, once a context.

    Raises:
        InvalidArgument: ``user_id`` is neither a primary key nor a natural key of a user.
    """
    context = current_context()
    if context.user is not None:
        return _known(_woken(context.user))
    if context.user_id is None:
        return None
    found = context._found
    if alias not in found:
        found[alias] = _find_user(context.user_id, alias)
    return found[alias]


def _woken(user: Any) -> Any:
    """The object behind a lazy one, which may turn out to be nobody."""
    while isinstance(user, LazyObject):
        found = user._wrapped
        if found is empty:
            bool(user)  # makes it find what it stands for
            found = user._wrapped
        user = found
    return user


def _find_user(user_id: Any, alias: str) -> Model:
    model = get_user_model()
    # Where the row is written, or else where the users of this project are.
    for place in dict.fromkeys((alias, router.db_for_read(model))):
        user = _look_up(model, user_id, place) if router.allow_migrate_model(place, model) else None
        if user is not None:
            return user
    raise InvalidArgument("user_id= is neither a primary key nor a natural key of a user.")


def _look_up(model: Any, user_id: Any, alias: str) -> Model | None:
    manager: Any = model._default_manager.db_manager(alias)
    try:
        user = manager.filter(pk=model._meta.pk.to_python(user_id)).first()
    except (ValidationError, TypeError, ValueError):
        user = None  # not of the key's type, so it can only be a natural key
    if user is not None or not hasattr(manager, "get_by_natural_key"):
        return cast("Model | None", user)
    parts = user_id if isinstance(user_id, tuple) else (user_id,)  # natural_key() answers a tuple
    try:
        return cast("Model", manager.get_by_natural_key(*parts))
    except (TypeError, ValueError, DataError, model.DoesNotExist):  # DataError: text with a NUL
        return None
