"""The circuit breaker: pybreaker's API, listeners and storages over a state machine that makes no call wait.

The only module that imports pybreaker, which imports redis where it can; nothing imports this one at startup.

What differs from pybreaker 1.4: nothing is locked while a guarded call, a listener or a storage runs; a call that
outlives the phase it was admitted in has no vote; a half-open circuit admits as many probes as its policy permits;
calls that end without a word about the database (excluded errors, a generator that is closed early,
``KeyboardInterrupt``, a cancelled task) count for nothing; the clock is monotonic; no decision asks a storage.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Generator, Iterator
from dataclasses import replace
from types import GeneratorType, TracebackType
from typing import Any, Self, TypeVar

import pybreaker

from ..policies import BreakerPolicy
from .circuit import Change, Circuit, Vote
from .mirrors import StorageMirror

T = TypeVar("T")

logger = logging.getLogger("django_enterprise_repo.breaker")


def _of_the_policy(name: str) -> Any:
    """One of pybreaker's settable numbers, kept in the policy, which validates it."""

    def write(self: CircuitBreaker, value: float) -> None:
        self.policy = replace(self.policy, **{name: value})  # type: ignore[arg-type]

    return property(lambda self: getattr(self.policy, name), write)


class CircuitBreaker(Circuit, pybreaker.CircuitBreaker):
    """A circuit with pybreaker's public API.

    :meth:`call`, :meth:`calling`, :meth:`call_async` and the decorator go through :meth:`admit` and :meth:`settle`.
    Listeners hear every change of state, and of calls those that are made through these four. The error of the call
    that opens a circuit comes out as it was.

    ``pybreaker_options`` are ``exclude``, ``listeners`` and ``state_storage``. A storage is told of changes of state
    and never asked.

    Raises:
        ValueError: ``throw_new_error_on_trip`` is asked for.
    """

    fail_max = _of_the_policy("fail_max")
    reset_timeout = _of_the_policy("reset_timeout")
    success_threshold = _of_the_policy("success_threshold")

    def __init__(
        self,
        name: str,
        policy: BreakerPolicy,
        *,
        clock: Callable[[], float] = time.monotonic,
        **pybreaker_options: Any,
    ) -> None:
        if pybreaker_options.pop("throw_new_error_on_trip", False):
            raise ValueError("The error that opens a circuit is never replaced: leave out throw_new_error_on_trip.")
        storage = pybreaker_options.pop("state_storage", None)
        self._mirror = None if storage is None else StorageMirror(storage, name)
        Circuit.__init__(self, name, policy, clock)
        pybreaker.CircuitBreaker.__init__(
            self,
            fail_max=policy.fail_max,
            reset_timeout=policy.reset_timeout,
            success_threshold=policy.success_threshold,
            name=name,
            throw_new_error_on_trip=False,
            **pybreaker_options,
        )
        self._states = {state: self._create_new_state(state) for state in ("closed", "open", "half-open")}

    def after_fork(self) -> None:
        super().after_fork()
        if self._mirror is not None:
            self._mirror.after_fork()

    def call(self, func: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Call ``func``. A generator that it returns is guarded while it runs, from its first step on.

        Raises:
            CircuitOpenError: the database is left alone for now.
        """
        with _Guard(self, func, args, kwargs) as guard:
            result = func(*args, **kwargs)
            if isinstance(result, GeneratorType):
                guard.vote = "void"  # nothing of it has run
        if isinstance(result, GeneratorType):
            return self._iterate(func, result)  # type: ignore[return-value]
        return result

    def _iterate(self, func: Callable[..., Any], generator: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        with _Guard(self, func):
            return (yield from generator)

    @contextlib.contextmanager
    def calling(self) -> Iterator[None]:
        """Guard the block inside ``with``."""
        with _Guard(self, self.calling):
            yield

    async def call_async(self, func: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any) -> T:
        """Call and await a native coroutine function; Tornado is not needed."""
        with _Guard(self, func, args, kwargs):
            return await func(*args, **kwargs)

    def __call__(self, *functions: Any, **options: bool) -> Callable[..., Any]:
        """Decorate a function or a coroutine function, with or without brackets."""

        def decorate(func: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(func)
            def guarded(*args: Any, **kwargs: Any) -> Any:
                return self.call(func, *args, **kwargs)

            @functools.wraps(func)
            async def guarded_async(*args: Any, **kwargs: Any) -> Any:
                return await self.call_async(func, *args, **kwargs)

            return guarded_async if as_coroutine or inspect.iscoroutinefunction(func) else guarded

        as_coroutine = options.get("__pybreaker_call_async", False)
        return decorate(*functions) if functions else decorate

    @property
    def state(self) -> Any:
        """pybreaker's object for the state, as listeners get it. Calls do not go through it."""
        return self._states[self.current_state]

    @state.setter
    def state(self, name: str) -> None:
        {"open": self.open, "half-open": self.half_open, "closed": self.close}[name]()

    def is_system_error(self, exception: BaseException) -> bool:
        """Whether the error counts as a failure: an ``Exception`` that nothing in ``exclude`` names or says yes to."""
        if not isinstance(exception, Exception):
            return False
        return not any(self._excludes(exclusion, exception) for exclusion in self.excluded_exceptions)

    def _excludes(self, exclusion: type | Callable[[Any], bool], exception: Exception) -> bool:
        if isinstance(exclusion, type):
            return isinstance(exception, exclusion)
        try:
            return bool(exclusion(exception))
        except Exception as error:  # noqa: BLE001 - the database's own error has to come out
            self._report("circuit_exclusion_failed", error)
            return False

    def announce(self, change: Change) -> None:
        """Log a change and tell storage and listeners, in the thread that made it.

        Two changes that follow each other closely may be heard in either order; :meth:`snapshot` has the truth.
        """
        old, new = change.old.name, change.new.name
        logger.log(
            logging.WARNING if new == "open" else logging.INFO,
            change.new.event,
            extra={"alias": self.alias, "breaker_state": new, "retry_after": round(change.retry_after, 3)},
        )
        if new == old:  # an open circuit was isolated
            return
        if self._mirror is not None:
            self._mirror.tell(new, change.opened_at if new == "open" else None)
        self.tell_listeners("state_change", self._states[old], self._states[new])

    def tell_listeners(self, event: str, *args: Any, **kwargs: Any) -> None:
        """Call a method of every listener; one that raises is logged, and the others are called all the same."""
        for listener in self.listeners:
            try:
                getattr(listener, event)(self, *args, **kwargs)
            except Exception as error:  # noqa: BLE001 - what listens must not break a call
                self._report("circuit_listener_failed", error)

    def _report(self, event: str, error: Exception) -> None:
        # The type alone: the text of such an error, or of the one it came from, may hold the values of rows.
        logger.error(event, extra={"alias": self.alias, "error_type": type(error).__qualname__})


class _Guard:
    """Admits a call, and settles it however it ends."""

    def __init__(
        self,
        breaker: CircuitBreaker,
        func: Callable[..., Any],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> None:
        self.vote: Vote = "success"
        self._breaker, self._func, self._args, self._kwargs = breaker, func, args, kwargs or {}

    def __enter__(self) -> Self:
        breaker = self._breaker
        self._permit = breaker.admit()
        try:
            breaker.tell_listeners("before_call", self._func, *self._args, **self._kwargs)
        except BaseException:  # a listener was interrupted
            breaker.settle(self._permit, "void")
            raise
        self._started = breaker.clock()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        breaker = self._breaker
        if error is not None:
            self.vote = "failure" if breaker.is_system_error(error) else "void"
        breaker.settle(self._permit, self.vote, breaker.clock() - self._started)
        if self.vote == "failure":
            breaker.tell_listeners("failure", error)
        elif self.vote == "success":
            breaker.tell_listeners("success")
