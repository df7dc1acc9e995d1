"""The metrics for Prometheus, in the default registry of prometheus-client: the only module that imports it.

Nothing is imported and nothing registered before the first operation begins or somebody asks for the metrics. Every
label comes from a closed set, or is cut off at a limit: no value of a row, no message, no user.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from ..operations import BUCKETS
from .asked import AskedMetrics
from .families import Family
from .told import ToldMetrics


def exposition(accept: str) -> tuple[bytes, str]:
    """All metrics of the default registry, and the media type they are in.

    OpenMetrics where ``accept``, the header of the request, names it, and Prometheus' text format otherwise. In the
    client's multiprocess mode the metrics of all processes.
    """
    from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
    from prometheus_client.multiprocess import MultiProcessCollector
    from prometheus_client.openmetrics import exposition as openmetrics

    made = registered()
    registry: Any = REGISTRY
    if isinstance(made, ToldMetrics):
        made.show_circuits()
        registry = CollectorRegistry()
        collect: Any = MultiProcessCollector
        collect(registry)
    # Not by the client's choose_encoder(), which raises for versions that are no numbers.
    accepted = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    if "application/openmetrics-text" in accepted:
        write: Any = openmetrics.generate_latest
        return write(registry), openmetrics.CONTENT_TYPE_LATEST
    write = generate_latest
    return write(registry), "text/plain; version=0.0.4; charset=utf-8"


def make(registry: Any) -> AskedMetrics | ToldMetrics:
    """The metrics, registered in ``registry``: told in the client's multiprocess mode, and elsewhere asked."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        return ToldMetrics(lambda family: _registered_metric(family, registry))
    asked = AskedMetrics(_empty_metric)
    registry.register(asked)
    return asked


def _empty_metric(family: Family) -> Any:
    from prometheus_client import core

    kinds: dict[str, Any] = {
        "counter": core.CounterMetricFamily,
        "gauge": core.GaugeMetricFamily,
        "histogram": core.HistogramMetricFamily,
    }
    return kinds[family.kind](family.full_name, family.text, labels=family.labels)


def _registered_metric(family: Family, registry: Any) -> Any:
    import prometheus_client

    kinds: dict[str, Any] = {
        "counter": prometheus_client.Counter,
        "gauge": prometheus_client.Gauge,
        "histogram": prometheus_client.Histogram,
    }
    options: dict[str, dict[str, Any]] = {
        # The sum over the processes that live: so many are in this state, so many operations are running.
        "gauge": {"multiprocess_mode": "livesum"},
        "histogram": {"buckets": BUCKETS},
    }
    arguments = (family.full_name, family.text, family.labels)
    return kinds[family.kind](*arguments, registry=registry, **options.get(family.kind, {}))


_registering = threading.RLock()
_made: AskedMetrics | ToldMetrics | None = None


def registered() -> AskedMetrics | ToldMetrics:
    """The metrics of this process, made and registered when first asked for.

    Raises:
        ImportError: prometheus-client is not installed.
        ValueError: something else has registered metrics of these names.
    """
    global _made
    from prometheus_client import REGISTRY

    with _registering:
        if _made is None:
            _made = make(REGISTRY)
        return _made


def _after_fork() -> None:
    global _registering
    _registering = threading.RLock()
    if _made is not None:
        _made.after_fork()


os.register_at_fork(after_in_child=_after_fork)
