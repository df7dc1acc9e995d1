"""The settings of metrics and logs, and what the checks say of wrong values."""

from __future__ import annotations

import pytest
from django.test import override_settings

from django_enterprise_repo import conf
from django_enterprise_repo.checks import check_settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("METRICS", "yes"),
        ("METRICS", 1),
        ("METRICS", None),
        ("METRICS_MODEL_LIMIT", 0),
        ("METRICS_MODEL_LIMIT", True),
        ("SLOW_OPERATION", -1),
        ("SLOW_OPERATION", "1"),
        ("SLOW_OPERATION", True),
        ("SLOW_OPERATION", float("nan")),
    ],
)
def test_a_wrong_value_is_an_error(name, value):
    with override_settings(ENTERPRISE_REPO={name: value}):
        assert [message.id for message in check_settings()] == ["enterprise_repo.E003"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("METRICS", "auto"),
        ("METRICS", False),
        ("METRICS_MODEL_LIMIT", 1),
        ("SLOW_OPERATION", None),
        ("SLOW_OPERATION", 0),
        ("SLOW_OPERATION", 0.25),
    ],
)
def test_a_right_value_is_none(name, value):
    with override_settings(ENTERPRISE_REPO={name: value}):
        assert check_settings() == []


def test_metrics_without_the_package_are_an_error_where_they_are_demanded(monkeypatch):
    monkeypatch.setattr(conf, "_has_prometheus", lambda: False)
    with override_settings(ENTERPRISE_REPO={"METRICS": True}):
        assert "not installed" in check_settings()[0].msg
    with override_settings(ENTERPRISE_REPO={"METRICS": "auto"}):
        assert check_settings() == []
        assert not conf.metrics_wanted()


@override_settings(ENTERPRISE_REPO=["PAGE_LIMIT"])
def test_settings_that_are_no_dict_are_for_the_checks_to_say():
    assert conf.page_limit() == 100
