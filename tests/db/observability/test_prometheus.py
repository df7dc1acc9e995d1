"""A real Prometheus scrapes the live server of a project that works meanwhile."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import urlopen

import pytest
from django.db import IntegrityError

from tests.testapp.models import Bare

pytest.importorskip("prometheus_client")

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.faults,
    pytest.mark.urls("tests.db.observability.test_exposition"),
]

CONFIGURATION = """
global: {{scrape_interval: 1s}}
scrape_configs:
- job_name: project
  static_configs: [{{targets: ["{target}"]}}]
"""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@pytest.fixture
def prometheus(tmp_path, live_server):
    """The address of a Prometheus of the test's own."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not installed (apt-get install prometheus)")
    configuration = tmp_path / "prometheus.yml"
    configuration.write_text(CONFIGURATION.format(target=live_server.url.removeprefix("http://")))
    address = f"127.0.0.1:{free_port()}"
    command = [program, f"--config.file={configuration}", f"--web.listen-address={address}"]
    process = subprocess.Popen(
        [*command, f"--storage.tsdb.path={tmp_path / 'data'}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    yield f"http://{address}"
    process.terminate()
    process.wait(20)


def ask(prometheus, query):
    with urlopen(f"{prometheus}/api/v1/query?query={quote(query)}", timeout=5) as answer:
        return json.load(answer)["data"]["result"]


def work():
    Bare.objects.get_or_create(name="a")
    Bare.objects.count()
    with suppress(IntegrityError):
        Bare.objects.create(name="a")


def test_it_sees_what_the_project_does(prometheus):
    rate = 'sum by (outcome) (rate(repository_queries_total{model="testapp.Bare"}[10s])) > 0'
    seen: dict[str, float] = {}
    ends = time.monotonic() + 60
    while {*seen} < {"ok", "refused"} and time.monotonic() < ends:
        for _ in range(20):
            work()
        with suppress(URLError, ConnectionError):  # it is starting
            seen = {found["metric"]["outcome"]: float(found["value"][1]) for found in ask(prometheus, rate)}

    assert {*seen} == {"ok", "refused"}
    assert ask(prometheus, 'repository_circuit_breaker_state{breaker="default", state="closed"} == 1')
    p99 = "histogram_quantile(0.99, sum by (le) (rate(repository_query_duration_seconds_bucket[10s]))) > 0"
    assert ask(prometheus, p99)
    assert ask(prometheus, "up")[0]["value"][1] == "1"
