"""Correlation ids on records, and records as JSON."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

from django_enterprise_repo import operation_context
from django_enterprise_repo.observability.logging import CorrelationIdFilter, JsonFormatter

ROOT = Path(__file__).resolve().parents[3]


def record(message="happened", *args, exc_info=None, **extra):
    return logging.getLogger("somebody").makeRecord("somebody", 30, "f.py", 1, message, args, exc_info, extra=extra)


def told(formatter, record):
    line = formatter.format(record)
    assert "\n" not in line
    return json.loads(line)


def test_every_record_gets_the_correlation_id_of_its_context():
    inside, outside, own = record(), record(), record(correlation_id="own")
    with operation_context(correlation_id="req-7"):
        assert CorrelationIdFilter().filter(inside)
        CorrelationIdFilter().filter(own)
    CorrelationIdFilter(default="-").filter(outside)
    assert (inside.correlation_id, outside.correlation_id, own.correlation_id) == ("req-7", "-", "own")


def test_a_record_is_one_line_of_json():
    found = told(JsonFormatter(), record("a %s\nb", "c", model="app.Model", attempts=2, missing=None, ratio=0.5))
    assert found.pop("time").endswith("+00:00")
    assert found == {
        "level": "WARNING",
        "logger": "somebody",
        "event": "a c\nb",
        "model": "app.Model",
        "attempts": 2,
        "ratio": 0.5,
    }


def test_what_is_no_plain_value_is_told_by_its_type():
    found = told(
        JsonFormatter(),
        record(request=object(), kinds=("a", b"b"), nested={1: [2, {3: [4]}]}, endless=float("inf"), nan=float("nan")),
    )
    assert found["request"] == "<object>"
    assert found["kinds"] == ["a", "<bytes>"]
    assert found["nested"] == {"1": [2, {"3": "<list>"}]}
    assert (found["endless"], found["nan"]) == ("inf", "nan")


def test_fields_do_not_replace_what_a_record_is():
    assert told(JsonFormatter(), record("happened", event="else", level="else"))["event"] == "happened"


def failure():
    try:
        try:
            {}["kanari"]
        except KeyError as error:
            raise ValueError("kanari") from error
    except ValueError:
        return sys.exc_info()


def test_an_exception_is_told_by_types_and_by_its_text_only_where_asked():
    found = JsonFormatter().format(record(exc_info=failure()))
    assert json.loads(found)["exception"] == ["ValueError", "KeyError"]
    assert "kanari" not in found

    found = told(JsonFormatter(with_tracebacks=True), record(exc_info=failure()))
    assert "kanari" in found["traceback"]


def test_a_suppressed_or_endless_chain_ends():
    first, second = ValueError(), KeyError()
    first.__cause__, second.__cause__ = second, first
    found = told(JsonFormatter(), record(exc_info=(ValueError, first, None)))
    assert found["exception"] == ["ValueError", "KeyError"] * 5

    alone = ValueError()
    alone.__context__, alone.__suppress_context__ = KeyError(), True
    assert told(JsonFormatter(), record(exc_info=(ValueError, alone, None)))["exception"] == ["ValueError"]


def test_a_project_can_name_them_in_its_logging_setting():
    """Django configures the logging before it loads apps."""
    script = """
import django, logging
from django.conf import settings
package = "django_enterprise_repo.observability.logging"
settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django_enterprise_repo"],
    LOGGING={
        "version": 1,
        "filters": {"correlation": {"()": f"{package}.CorrelationIdFilter"}},
        "formatters": {"json": {"()": f"{package}.JsonFormatter"}},
        "handlers": {"out": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "json",
                             "filters": ["correlation"]}},
        "root": {"handlers": ["out"]},
    },
)
django.setup()
from django_enterprise_repo import operation_context
with operation_context(correlation_id="req-7"):
    logging.getLogger("any").warning("happened")
"""
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    )
    found = json.loads(done.stdout)
    assert (found["event"], found["correlation_id"]) == ("happened", "req-7")
