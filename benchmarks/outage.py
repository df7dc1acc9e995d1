"""How long a ``get`` takes while its database is away, against the deadline it has.

    python -m benchmarks.outage [--calls 200] [--deadline 0.25] [--json]

An own PostgreSQL cluster behind a proxy of the fault tests, which refuses, goes deaf, or swallows what is sent. Each
outage is measured twice: with the circuit breaker, which soon answers by itself, and without, where every call waits.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")

ALIAS = "outage"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.outage", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--deadline", type=float, default=0.25, help="seconds")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = measure(options.calls, options.deadline)
    if options.json:
        print(json.dumps(figures, indent=2))
        return
    print(f"get(pk, deadline={options.deadline}) during an outage, {options.calls} calls, milliseconds")
    print(f"{'outage':<34} {'median':>8} {'p99':>8} {'longest':>8}")
    for row in figures:
        print(f"{row['outage']:<34} {row['median']:>8.1f} {row['p99']:>8.1f} {row['longest']:>8.1f}")


def measure(calls: int, deadline: float) -> list[dict[str, Any]]:
    import django

    django.setup()
    from tests.faults import django_env
    from tests.faults.clusters import PostgresCluster
    from tests.faults.proxy import FaultProxy

    from .models import Trailed

    outages: dict[str, Callable[[FaultProxy], object]] = {
        "connections are refused": lambda proxy: (proxy.refuse(), proxy.reset()),
        "nobody accepts": lambda proxy: (proxy.deaf(), proxy.reset()),
        "what is sent is swallowed": lambda proxy: (proxy.blackhole(),),
    }
    figures = []
    with PostgresCluster() as cluster, cluster.database() as name, FaultProxy(cluster.port) as proxy:
        engine = "django_enterprise_repo.db.backends.postgresql"
        with django_env.databases({ALIAS: django_env.postgres(name, proxy.port, engine=engine)}):
            django_env.create_tables(ALIAS, Trailed)
            pk = Trailed.objects.using(ALIAS).create(name="a", code="a", group=1).pk
            for outage, begin in outages.items():
                for guarded in (True, False):
                    seconds = _during(lambda begin=begin: begin(proxy), proxy, Trailed, pk, guarded, calls, deadline)
                    figures.append(_summary(f"{outage}, breaker {'on' if guarded else 'off'}", seconds))
    return figures


def _during(
    begin: Callable[[], object], proxy: Any, model: Any, pk: Any, guarded: bool, calls: int, deadline: float
) -> list[float]:
    """Seconds of each call, the first ones on a connection from before the outage."""
    from django_enterprise_repo import Repository
    from django_enterprise_repo.exceptions import RepositoryDatabaseError
    from django_enterprise_repo.resilience.breakers import reset_breakers

    repository: Any = Repository.configured(**({} if guarded else {"breaker": None}))()
    repository.model = model
    reset_breakers()
    repository.get(pk, using=ALIAS)
    begin()
    taken = []
    for _ in range(calls if guarded else min(calls, 40)):
        started = time.perf_counter()
        try:
            repository.get(pk, using=ALIAS, deadline=deadline)
        except RepositoryDatabaseError:
            taken.append(time.perf_counter() - started)
        else:
            raise AssertionError("there is no outage")
    proxy.heal()
    reset_breakers()
    return taken


def _summary(outage: str, seconds: list[float]) -> dict[str, Any]:
    return {
        "outage": outage,
        "calls": len(seconds),
        "median": statistics.median(seconds) * 1e3,
        "p99": statistics.quantiles(seconds, n=100, method="inclusive")[98] * 1e3,
        "longest": max(seconds) * 1e3,
    }


if __name__ == "__main__":
    main()
