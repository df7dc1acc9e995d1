"""What a cached row costs: against the bare bytes, against Django, and against other caches for Django's rows."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import redis
from django.conf import settings
from django.db import connection
from django.db.models import QuerySet

from django_enterprise_repo import identity_map
from django_enterprise_repo.testing import assert_queries
from tests.services import REDIS

from .measuring import Result, Sampler, enough, in_turn, result, timed
from .models import LOCK_SECONDS, Cached, CachedHere
from .neighbours import ROOT, neighbour

_ROUNDS = 200
_PACKAGE = "django_enterprise_repo"
#: With whom hits are compared, where they are installed: ``pip install --group comparison``.
_OTHERS = ("cacheops", "cachalot")

Named = tuple[str, float, Sampler, Sampler]


def results(database: str, tell: Callable[[str], None]) -> Iterator[Result]:
    """On PostgreSQL, with Redis on the same machine; the alias ``django`` is Django's own engine."""
    with ExitStack() as stack:
        for name, target, ours, theirs in _compared(stack):
            tell(f"{database}: {name}")
            number = enough(theirs)
            ours(number)
            yield result(name, database, target, *in_turn(ours, theirs, number, _ROUNDS))


def _compared(stack: ExitStack) -> Iterator[Named]:
    client = stack.enter_context(redis.Redis.from_url(REDIS.url))
    stack.callback(_forget, client)
    hit, local_hit = _hit(Cached), _hit(CachedHere)
    keys = list(client.scan_iter(f"*{_prefix()}*"))
    assert len(keys) == 3, "the tags of a model and of a row, and the row"
    in_redis, by_hand = partial(timed, hit), partial(timed, _by_hand())
    bare = partial(timed, lambda: client.mget(keys))
    yield "get(pk) from Redis : redis-py's mget() of the same bytes", 2.0, in_redis, bare
    yield "get(pk) from Redis : Django's get(pk=…) from the database", 0.4, in_redis, by_hand
    yield "get(pk) from LocMemCache : Django's get(pk=…)", 0.15, partial(timed, local_hit), by_hand
    yield "get(pk) from an identity map : from Redis", 0.05, partial(_mapped, hit), in_redis
    for other in _OTHERS:
        if find_spec(other) is None:
            print(f"{other} is not installed, and left out.", file=sys.stderr)
            continue
        # Ours is a neighbour, too: who asks for a sample finds a warmer processor than who is asked.
        here = stack.enter_context(neighbour(_PACKAGE, "hit", _database()))
        there = stack.enter_context(neighbour(other, "hit", _database()))
        yield f"get(pk) from Redis : a hit of django-{other}", 1 / 3, here.sample, there.sample
    before = _package_before()
    for action in ("get", "update") if before else ():
        now = stack.enter_context(neighbour(_PACKAGE, action, _database()))
        then = stack.enter_context(neighbour(_PACKAGE, action, _database(), package=before))
        yield f"{action}() of a model that is not cached : before there were caches", 1.02, now.sample, then.sample


def _hit(model: type[Any]) -> Callable[[], Any]:
    """What reads a row that is cached by now."""
    row = model.objects.create(name="a", code="a", group=1)
    time.sleep(LOCK_SECONDS + 0.5)  # to create a table is to write it
    model.objects.get(row.pk)
    with assert_queries(0):
        model.objects.get(row.pk)
    return lambda: model.objects.get(row.pk)


def _by_hand() -> Callable[[], Any]:
    rows = QuerySet(Cached, using="django")
    pk = rows.values_list("pk", flat=True)[0]
    return lambda: rows.get(pk=pk)


def _mapped(hit: Callable[[], Any], number: int) -> float:
    with identity_map():
        kept = hit()
        seconds = timed(hit, number)
        assert hit() is kept
    return seconds


def _prefix() -> str:
    prefix: str = settings.CACHES["redis_rows"]["KEY_PREFIX"]
    return prefix


def _forget(client: Any) -> None:
    for key in client.scan_iter(f"*{_prefix()}*"):
        client.unlink(key)


def _database() -> str:
    return str(connection.settings_dict["NAME"])


def _package_before() -> Path | None:
    """A folder with the package as it was before it could cache, from the repository's history if that is here."""
    added = _git("log", "--diff-filter=A", "--format=%H", "--", f"{_PACKAGE}/caching/__init__.py").split()
    if not added:
        print("There is no history, so nothing is compared with the package from before caches.", file=sys.stderr)
        return None
    folder = ROOT / ".cache" / "before-caching"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    archive = subprocess.run(
        ["git", "archive", f"{added[-1]}^", _PACKAGE], cwd=ROOT, check=True, stdout=subprocess.PIPE
    ).stdout
    subprocess.run(["tar", "-x"], cwd=folder, input=archive, check=True)
    return folder


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""
