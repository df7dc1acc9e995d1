"""The setting HEALTH: validated, and never the reason why a probe gets no answer."""

from __future__ import annotations

import pytest
from django.test import override_settings

from django_enterprise_repo import conf
from django_enterprise_repo.checks import check_settings


def using(value):
    return override_settings(ENTERPRISE_REPO={"HEALTH": value})


@pytest.mark.parametrize(
    "value",
    [
        [],
        "fail",
        {"readyness": {}},
        {"readiness": {"databse": "fail"}},
        {"readiness": {"database": "maybe"}},
        {"readiness": ["database"]},
        {"timeout": 0},
        {"timeout": True},
        {"timeout": float("nan")},
        {"timeout": 61},
        {"timeout": "0.8"},
        {"staff": "yes"},
        {"token": "short"},
        {"token": b"0123456789abcdef"},
        {"token": "0123456789abcde\n"},
        {"databases": "default"},
        {"databases": ["nowhere"]},
        {"path": "health/"},
        {"path": "/health"},
    ],
)
def test_wrong_values_are_said_and_change_nothing(value):
    with using(value):
        assert [problem.id for problem in check_settings()] == ["enterprise_repo.E003"]
        assert conf.health() == conf.HealthSettings()


def test_a_wrong_token_is_not_repeated():
    with using({"token": "s3cret"}):
        (problem,) = check_settings()
    assert "s3cret" not in str(problem)
    with using({"token": "a" * 16}):
        assert "a" * 16 not in repr(conf.health())


def test_what_is_not_said_is_as_it_was():
    with using({"readiness": {"cache": "fail"}, "timeout": 2, "databases": ["default"]}):
        assert not check_settings()
        found = conf.health()

    assert found.readiness == {**conf.READINESS, "cache": "fail"}
    assert (found.timeout, found.databases, found.staff, found.token) == (2, ("default",), True, None)


@override_settings(ENTERPRISE_REPO={"HEALTH": None})
def test_none_is_said_to_be_wrong():
    assert [problem.id for problem in check_settings()] == ["enterprise_repo.E003"]
    assert conf.health() == conf.HealthSettings()
