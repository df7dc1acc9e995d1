"""One of Django's caches, asked with care: it may be down, slow or forgetful, and no read may suffer from it."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from django.core.cache import caches
from django.core.cache.backends.base import BaseCache

from ..exceptions import CircuitOpenError
from ..policies import BreakerPolicy
from .keys import epoch_of
from .readers import reader_of
from .signals import cache_degraded

if TYPE_CHECKING:
    from ..resilience.breaker import CircuitBreaker
    from ..resilience.circuit import Vote

R = TypeVar("R")

logger = logging.getLogger("django_enterprise_repo.cache")

#: The first failure costs a timeout, and nobody else should pay another one.
BREAKER = BreakerPolicy(fail_max=1, reset_timeout=1.0, max_reset_timeout=15.0, probe_timeout=5.0)

#: What a key holds while its row is being written, and for a while after.
LOCK = b"L"
#: Keys of single rows that a process remembers it could not lock; beyond that it locks their models.
_MOST_OWED = 100_000


class Store:
    """The cache of an alias, with a breaker of its own and a memory of what it could not be told.

    A lock that the cache was not there to take is owed: rows may be stale in it until it has taken the lock after
    all, so this process reads nothing from it before.
    """

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self._breaker: CircuitBreaker | None = None
        self._owed: dict[str, _Debt] = {}
        self._guard = threading.Lock()

    @property
    def breaker(self) -> CircuitBreaker:
        if self._breaker is None:
            from ..resilience.breaker import CircuitBreaker  # imports pybreaker

            self._breaker = CircuitBreaker(f"cache:{self.alias}", BREAKER, listeners=[_Announcer(self.alias)])
        return self._breaker

    @property
    def owed(self) -> int:
        """How many locks the cache has not taken yet."""
        return len(self._owed)

    def read(self, keys: Collection[str]) -> Mapping[str, Any] | None:
        """What is under these keys; ``None`` when the cache cannot be asked, or must not be believed."""
        return self._ask(lambda cache: reader_of(cache)(keys))

    def add(self, values: Mapping[str, bytes], seconds: int) -> Mapping[str, Any] | None:
        """Put each value where there is none yet, and answer what is there then."""

        def put(cache: BaseCache) -> Mapping[str, Any]:
            for key, value in values.items():
                cache.add(key, value, seconds)
            return cache.get_many(values)

        return self._ask(put)

    def write(self, key: str, value: bytes, seconds: int) -> bool:
        """Put a value; answers whether the cache has taken it."""

        def put(cache: BaseCache) -> bool:
            cache.set(key, value, seconds)
            return True

        return self._ask(put) is True

    def lock(self, keys: Mapping[str, int]) -> bool:
        """Lock the keys, each for its number of seconds, and answer whether they are; those that are not are owed."""
        if self._ask(partial(_lock, keys)) is True:
            return True
        with self._guard:
            self._owed.update({key: _Debt(seconds) for key, seconds in keys.items()})
            if len(self._owed) > _MOST_OWED:
                self._owed = {epoch_of(key): debt for key, debt in self._owed.items()}
        return False

    def forget(self) -> None:
        """Nothing owed and a breaker that has heard nothing: for tests, and for the child of a fork."""
        self._guard = threading.Lock()
        self._owed, self._breaker = {}, None

    def _ask(self, call: Callable[[BaseCache], R]) -> R | None:
        """The answer of ``call``, or ``None`` if the cache has none; debts are paid first."""
        breaker = self.breaker
        permit = None
        if not breaker.is_closed:  # else there is nothing that a success could change: one failure opens it
            try:
                permit = breaker.admit()
            except CircuitOpenError:
                return None
        vote: Vote = "void"
        try:
            cache = caches[self.alias]
            if self._owed:
                self._pay(cache)
            answer = call(cache)
            vote = "success"
        except Exception as error:  # noqa: BLE001  # each driver has errors of its own
            vote = "failure"
            logger.debug("cache_failed", extra={"cache": self.alias, "error_type": type(error).__qualname__})
            return None
        finally:
            if permit is not None:
                breaker.settle(permit, vote)
            elif vote == "failure":
                breaker.observe(vote)
        return answer

    def _pay(self, cache: BaseCache) -> None:
        """Take the locks that are owed."""
        with self._guard:
            owed = dict(self._owed)
        _lock({key: debt.seconds for key, debt in owed.items()}, cache)
        with self._guard:
            for key, debt in owed.items():
                if self._owed.get(key) is debt:  # and not another one, of a write since
                    del self._owed[key]


class _Debt:
    """One lock that was not taken. Two of one key are two: the second may be of a later write."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds


class Refused(Exception):
    """A cache has answered and not done what it was asked to."""


def _lock(keys: Mapping[str, int], cache: BaseCache) -> bool:
    by_seconds: dict[int, dict[str, bytes]] = {}
    for key, seconds in keys.items():
        by_seconds.setdefault(seconds, {})[key] = LOCK
    for seconds, values in by_seconds.items():
        if len(values) == 1:
            for key in values:
                cache.set(key, LOCK, seconds)
        elif cache.set_many(values, seconds):
            raise Refused
    return True


class _Announcer:
    """The listener of a cache's breaker."""

    def __init__(self, alias: str) -> None:
        self._alias = alias

    def before_call(self, breaker: Any, *args: object, **kwargs: object) -> None: ...

    def success(self, breaker: Any) -> None: ...

    def failure(self, breaker: Any, error: BaseException) -> None: ...

    def state_change(self, breaker: Any, old: Any, new: Any) -> None:
        level = logging.INFO if new.name == "closed" else logging.WARNING
        logger.log(level, "cache_state_changed", extra={"cache": self._alias, "breaker_state": new.name})
        cache_degraded.send_robust(sender=Store, alias=self._alias, old=old.name, new=new.name)


_stores: dict[str, Store] = {}


def store(alias: str) -> Store:
    """The store of a cache alias, one for the process."""
    try:
        return _stores[alias]
    except KeyError:
        return _stores.setdefault(alias, Store(alias))


def existing_stores() -> tuple[Store, ...]:
    """The stores that were asked for so far."""
    return tuple(_stores.values())


def _after_fork() -> None:
    for each in _stores.values():
        each.forget()  # what the parent owes the parent pays


os.register_at_fork(after_in_child=_after_fork)
