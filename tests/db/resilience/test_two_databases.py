"""Operations inside operations on another database: whose failure is it, and what must not be made again."""

from __future__ import annotations

import pytest
from django.db import connections

from django_enterprise_repo.exceptions import RepositoryDatabaseError, RepositoryUnavailable
from django_enterprise_repo.operations import OperationSpec, run
from django_enterprise_repo.resilience.breakers import breaker
from tests.db.resilience.conftest import Failing, deadlock, lost
from tests.testapp.models import Item, Plain

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)


@pytest.fixture
def failing_other():
    wrapper = Failing()
    connections["other"].ensure_connection()
    with connections["other"].execute_wrapper(wrapper):
        yield wrapper


@pytest.fixture
def failing_default():
    wrapper = Failing()
    connections["default"].ensure_connection()
    with connections["default"].execute_wrapper(wrapper):
        yield wrapper


def spec():
    return OperationSpec("add", Plain, "default", "write")


def test_the_failure_of_another_database_is_not_ours(failing_other):
    driver = connections["default"].connection
    calls = []

    def body(attempt):
        calls.append(1)
        failing_other.errors = [lost() for _ in range(3)]
        return Item.objects.using("other").count()

    with pytest.raises(RepositoryUnavailable) as caught:
        run(spec(), body)
    assert calls == [1]
    assert (caught.value.alias, caught.value.model) == ("other", "testapp.Item")
    assert breaker("default").fail_counter == 0
    assert breaker("other").fail_counter == 3
    assert connections["default"].connection is driver


@pytest.mark.parametrize("kind", ["operation", "unit of work"])
def test_what_was_written_elsewhere_is_not_written_again(failing_default, kind):
    calls = []

    def work(*attempt):
        calls.append(1)
        Plain.objects.add(Plain(name="a"), using="other")
        failing_default.errors = [deadlock()]
        return Plain.objects.using("default").count()

    with pytest.raises(RepositoryDatabaseError) as caught:
        if kind == "operation":
            run(spec(), work)
        else:
            Plain.objects.atomic(retries=3, using="default").run(work)
    assert calls == [1]
    assert caught.value.fate == "unknown"
    assert Plain.objects.using("other").count() == 1


def test_reads_elsewhere_keep_nobody_from_trying_again(failing_default):
    calls = []

    def work():
        calls.append(1)
        Plain.objects.using("other").count()
        if len(calls) == 1:
            failing_default.errors = [deadlock()]
        return Plain.objects.using("default").count()

    assert Plain.objects.atomic(retries=1, using="default").run(work) == 0
    assert calls == [1, 1]
