"""Our records in a project that logs through structlog, configured as the guide says."""

from __future__ import annotations

import io
import json
import logging
import re
from logging.config import DictConfigurator
from pathlib import Path

import pytest
from django.db import IntegrityError

from django_enterprise_repo import operation_context
from tests.db.resilience.conftest import failing, lost
from tests.testapp.models import Bare

structlog = pytest.importorskip("structlog")

pytestmark = pytest.mark.django_db(transaction=True)

__all__ = ["failing"]

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "how-to" / "monitoring.md"


@pytest.fixture
def written():
    """What the guide's handler writes of the package and of a project, from DEBUG on."""
    (block,) = re.findall(r"```python\n(import structlog.*?)```", GUIDE.read_text(), re.DOTALL)
    names: dict = {}
    exec(block, names)  # it is our own page
    configuration = names["STRUCTLOG_LOGGING"]
    configurator = DictConfigurator(configuration)
    configurator.config["formatters"] = {"json": configurator.configure_formatter(configuration["formatters"]["json"])}
    configurator.config["filters"] = {
        "correlation": configurator.configure_filter(configuration["filters"]["correlation"])
    }
    stream = io.StringIO()
    handler = configurator.configure_handler({**configuration["handlers"]["console"], "stream": stream})
    loggers = [logging.getLogger(name) for name in ("django_enterprise_repo", "shop")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    for logger, level in zip(loggers, levels, strict=True):
        logger.removeHandler(handler)
        logger.setLevel(level)
    structlog.reset_defaults()


def test_a_record_arrives_with_its_fields_and_the_correlation_id(written):
    with operation_context(correlation_id="req-7"):
        Bare.objects.count()

    (found,) = written()
    assert found.pop("time").endswith("Z")
    assert found.pop("duration_ms") > 0
    assert found == {
        "event": "operation_finished",
        "level": "debug",
        "logger": "django_enterprise_repo.operations",
        "operation": "count",
        "model": "testapp.Bare",
        "alias": "default",
        "effect": "read",
        "attempts": 1,
        "correlation_id": "req-7",
    }


def test_lists_and_kinds_stay_what_they_are(written, failing):
    failing.errors = [lost()]
    Bare.objects.count()
    Bare.objects.create(name="kanari")
    with pytest.raises(IntegrityError):
        Bare.objects.create(name="kanari")

    by_event = {line["event"]: line for line in written()}
    assert by_event["operation_retried"]["retried_for"] == ["connection"]
    assert (by_event["attempt_failed"]["dropped"], by_event["attempt_failed"]["retryable"]) == (False, False)
    failed = by_event["operation_failed"]
    assert (failed["error_kind"], failed["error_type"], failed["fate"]) == (
        "duplicate_key",
        "DuplicateKeyError",
        "not_applied",
    )
    assert "exception" not in failed
    assert "kanari" not in json.dumps(written())


def test_the_projects_own_events_have_the_correlation_id_too(written):
    with operation_context(correlation_id="req-7"):
        structlog.get_logger("shop").info("sold", items=3)
        logging.getLogger("shop").warning("sold %s", "out", extra={"items": 0})

    own, standard = written()
    assert (own["event"], own["items"], own["level"], own["correlation_id"]) == ("sold", 3, "info", "req-7")
    assert {*own} == {"event", "items", "level", "logger", "time", "correlation_id"}
    assert (standard["event"], standard["items"], standard["correlation_id"]) == ("sold out", 0, "req-7")
