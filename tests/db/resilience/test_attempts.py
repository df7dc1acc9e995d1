"""Which failures are followed by another attempt, and which never are."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F, Func
from django.db.models.expressions import RawSQL

from django_enterprise_repo import RetryPolicy, operation_finished
from django_enterprise_repo.exceptions import (
    CircuitOpenError,
    CommitOutcomeUnknown,
    DuplicateKeyError,
    RepositoryDatabaseError,
    RepositoryUnavailable,
)
from django_enterprise_repo.ledger import models as ledger
from django_enterprise_repo.operations import OperationSpec, run
from django_enterprise_repo.resilience import breakers
from django_enterprise_repo.resilience.breakers import breaker
from django_enterprise_repo.resilience.budget import budget
from django_enterprise_repo.testing import capture_operations
from django_enterprise_repo.writing import operation_ledger
from tests.db.resilience.conftest import deadlock, lost, never_sent
from tests.testapp.models import Audited, Bare, Entry, Item, Plain, Token

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)


# Reads.


@pytest.mark.parametrize("error", [lost, never_sent, deadlock])
@pytest.mark.parametrize(
    "read",
    [
        lambda: Item.objects.get_or_none(1),
        lambda: Item.objects.list({"stock": 1}),
        lambda: Item.objects.count(),
        lambda: Item.objects.filter(stock=1).exists(),
        lambda: list(Item.objects.filter(stock=1)),
        lambda: list(Item.objects.stream()),
        lambda: Item.objects.in_bulk([1]),
        lambda: Item.objects.first(),
    ],
)
def test_a_read_is_tried_again(failing, read, error):
    failing.errors = [error(), error()]
    with capture_operations() as log:
        read()
    assert [operation.attempts for operation in log] == [3]
    assert len(log[0].retried_for) == 2
    assert log[0].error is None


def test_the_last_failure_comes_out(failing):
    failing.errors = [lost(), lost(), lost(), lost()]
    with pytest.raises(RepositoryUnavailable) as caught:
        Item.objects.count()
    assert len(failing.errors) == 1
    assert caught.value.model == "testapp.Item"
    assert caught.value.alias == "default"
    assert caught.value.fate == "not_applied"
    assert isinstance(caught.value, OperationalError)
    assert isinstance(caught.value.__cause__, connection.Database.OperationalError)


@pytest.mark.parametrize(
    "rows",
    [
        lambda: Item.objects.annotate(n=Func(F("pk"), function="abs")),
        lambda: Item.objects.annotate(n=RawSQL("1", ())),
        lambda: Item.objects.filter(pk__in=Item.objects.annotate(n=RawSQL("1", ())).values("pk")),
        lambda: Item.objects.extra(where=["1 = 1"]),
    ],
    ids=["a function of the project's", "raw SQL", "raw SQL in a subquery", "extra()"],
)
def test_a_read_that_may_act_is_not_repeated_when_it_may_have_acted(failing, rows):
    failing.errors = [lost()]
    with pytest.raises(RepositoryUnavailable) as caught:
        list(rows())
    assert caught.value.fate == "unknown"
    failing.errors = [never_sent()]
    list(rows())


# Writes.


@pytest.mark.parametrize("error", [never_sent, deadlock])
@pytest.mark.parametrize("model", [Item, Plain, Audited, Bare, Token])
def test_a_write_that_was_not_applied_is_tried_again(failing, error, model):
    failing.errors = [error()]
    with capture_operations() as log:
        model.objects.add(model(name="a"))
    assert log[0].attempts == 2
    assert [row.name for row in model.objects.all()] == ["a"]


@pytest.mark.parametrize(
    "write",
    [
        lambda: Item.objects.add(Item(name="a")),
        lambda: Item(name="a").save(),
        lambda: Item.objects.create(name="a"),
        lambda: Item.objects.update_all({"stock": 1}, stock=2),
        lambda: Item.objects.filter(stock=1).update(stock=2),
    ],
)
def test_a_write_that_may_have_been_applied_never_is(failing, write):
    failing.errors = [lost()]
    with pytest.raises(CommitOutcomeUnknown) as caught:
        write()
    assert not failing.errors
    assert caught.value.fate == "unknown"
    assert not caught.value.retryable


def test_what_is_lost_within_its_own_transaction_was_not_applied(failing):
    """With an engine of ours it is known that COMMIT was never sent."""
    if not connection.repository_guard.sees_everything:
        pytest.skip("Django's own engine does not tell where a connection was lost")
    failing.errors = [lost()]
    entities = [Audited(name="a"), Audited(name="b")]
    if connection.vendor == "sqlite":
        failing.errors = [None, lost()]  # BEGIN is a statement there
    Audited.objects.add_all(entities)
    assert Audited.objects.count() == 2
    assert Audited.history.count() == 2


def test_nothing_is_repeated_that_has_committed_already(failing):
    """The UPDATE commits by itself; what fails is a read after it, which was never sent."""
    item = Item.objects.create(name="a", stock=1)
    failing.errors = [None, never_sent()]

    def body(attempt):
        Item.objects.filter(pk=item.pk).update(stock=F("stock") + 1)
        return Item.objects.count()

    with pytest.raises(RepositoryDatabaseError) as caught:
        run(OperationSpec("update", Item, "default", "write"), body)
    assert caught.value.fate == "unknown"
    assert Item.objects.get(item.pk).stock == 2


def test_an_attempt_finds_the_entity_as_the_first_one_did(failing):
    entity = Token(name="a")
    entity.save()
    failing.errors = [never_sent()]
    Token.objects.update(entity, name="b")
    assert entity.version == 2
    assert Token.objects.get(entity.pk).version == 2


def test_a_bulk_insert_that_is_repeated_gives_keys_of_its_own(failing):
    entities = [Plain(name=str(n)) for n in range(6)]
    failing.errors = [None, None, deadlock()]  # in the second batch on SQLite, whose BEGIN is one, else in the third
    Plain.objects.bulk_create(entities, batch_size=2)
    assert not failing.errors
    assert sorted(Plain.objects.values_list("pk", flat=True)) == sorted(entity.pk for entity in entities)


def test_a_bulk_insert_that_was_rolled_back_leaves_no_keys_behind(failing):
    """The next row may get them, and a second attempt would then collide with it."""
    entities = [Plain(name=str(n)) for n in range(6)]
    failing.errors = [None, None, *(deadlock() for _ in range(9))]
    with pytest.raises(RepositoryDatabaseError):
        Plain.objects.bulk_create(entities, batch_size=2)
    assert [entity.pk for entity in entities] == [None] * 6
    assert all(entity._state.adding for entity in entities)


def test_mistakes_of_callers_are_not_repeated_and_keep_their_types(failing):
    item = Item.objects.create(name="a")
    failing.sent.clear()
    with pytest.raises(DuplicateKeyError) as caught, transaction.atomic():
        Item.objects.add(Item(pk=item.pk, name="b"))
    assert isinstance(caught.value, IntegrityError)
    with pytest.raises(Item.DoesNotExist):
        Item.objects.get(item.pk + 1)
    assert breaker("default").fail_counter == 0


def test_a_broken_transaction_is_no_failure_of_the_database_again():
    item = Item.objects.create(name="a")
    with transaction.atomic():
        with pytest.raises(IntegrityError):
            Item(pk=item.pk, name="b").save(force_insert=True)
        connection.needs_rollback = True
        with pytest.raises(transaction.TransactionManagementError):
            Item.objects.count()
        with pytest.raises(transaction.TransactionManagementError):
            Item.objects.update_all({"stock": 1}, stock=2)


def test_get_or_create_goes_on_finding_what_somebody_else_inserted():
    Item.objects.create(name="a")
    found, created = Item.objects.get_or_create(name="a")
    assert not created
    assert found.name == "a"


# Transactions.


def test_nothing_is_repeated_inside_a_transaction(failing):
    with pytest.raises(RepositoryDatabaseError) as caught, transaction.atomic():
        failing.errors = [deadlock()]
        Item.objects.count()
    assert not failing.errors
    assert caught.value.kind == ("lock_timeout" if connection.vendor == "sqlite" else "deadlock")
    assert caught.value.retryable


def test_a_failure_inside_a_transaction_counts_once(failing, quick_breaker):
    with pytest.raises(RepositoryUnavailable), transaction.atomic():
        failing.errors = [lost()]
        Item.objects.count()
    assert quick_breaker.fail_counter == 1


# Limits.


def test_attempts_are_those_of_the_policy(failing, settings):
    settings.ENTERPRISE_REPO = {"RETRY": RetryPolicy(attempts=5)}
    failing.errors = [lost() for _ in range(9)]
    with pytest.raises(RepositoryUnavailable):
        Item.objects.count()
    assert len(failing.errors) == 4
    settings.ENTERPRISE_REPO = {"RETRY": None}
    breakers.reset_breakers()
    with pytest.raises(RepositoryUnavailable):
        Item.objects.count()
    assert len(failing.errors) == 3


def test_retries_have_a_budget(failing):
    while budget.take():
        pass
    failing.errors = [lost()]
    with pytest.raises(RepositoryUnavailable):
        Item.objects.count()
    assert not failing.errors


def test_every_failure_that_was_repeated_is_told(failing):
    told = []

    def hear(sender, operation, **kwargs):
        told.append((operation.spec.name, operation.attempts, operation.retried_for))

    operation_finished.connect(hear)
    failing.errors = [lost(), deadlock()]
    Item.objects.count()
    operation_finished.disconnect(hear)
    ((name, attempts, kinds),) = told
    assert (name, attempts) == ("count", 3)
    assert kinds == ("connection", "lock_timeout" if connection.vendor == "sqlite" else "deadlock")


# The breaker.


def test_failures_open_the_circuit_and_nothing_is_sent(failing, quick_breaker, settings):
    settings.ENTERPRISE_REPO = {"RETRY": None}
    failing.errors = [lost(), lost()]
    for _ in range(2):
        with pytest.raises(RepositoryUnavailable):
            Item.objects.count()
    failing.sent.clear()
    with pytest.raises(CircuitOpenError) as caught:
        Item.objects.get(1)
    assert not failing.sent
    assert 0 < caught.value.retry_after <= 36
    assert caught.value.model == "testapp.Item"
    assert isinstance(caught.value, OperationalError)


def test_an_open_circuit_never_stands_between_a_transaction_and_its_end(quick_breaker):
    with transaction.atomic():
        Item.objects.create(name="a")
        quick_breaker.isolate()
        Item.objects.create(name="b")
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            Item.objects.create(name="c")
            raise ZeroDivisionError
    with pytest.raises(CircuitOpenError):
        Item.objects.count()
    quick_breaker.release()
    assert Item.objects.count() == 2


def test_an_open_circuit_rolls_back_what_was_written(quick_breaker):
    """Django cleans up after its own errors alone; pybreaker's made it commit what had to be rolled back."""
    with pytest.raises(ValueError, match="no good"), transaction.atomic():
        Item.objects.create(name="a")
        quick_breaker.isolate()
        raise ValueError("no good")
    quick_breaker.release()
    assert not Item.objects.exists()


def test_answers_close_the_count_of_failures(failing, quick_breaker):
    failing.errors = [lost()]
    Item.objects.count()
    assert quick_breaker.fail_counter == 0


def test_a_query_that_is_never_sent_says_nothing_about_the_database(quick_breaker):
    if not connection.repository_guard.sees_everything:
        pytest.skip("Django's own engine does not tell whether anything was sent")
    before = quick_breaker.snapshot().window.calls
    assert list(Item.objects.filter(pk__in=[])) == []
    assert quick_breaker.snapshot().window.calls == before


def test_interrupts_and_mistakes_do_not_vote(quick_breaker):
    class Interrupted(BaseException):
        pass

    def interrupt(execute, sql, params, many, context):
        raise Interrupted

    for _ in range(3):
        with pytest.raises(Interrupted), connection.execute_wrapper(interrupt):
            Item.objects.count()
    assert quick_breaker.is_closed
    assert quick_breaker.fail_counter == 0
    assert Item.objects.count() == 0


def test_errors_of_later_chunks_are_told_in_our_words_and_nothing_is_read_twice(monkeypatch):
    Item.objects.bulk_create([Item(name=str(n)) for n in range(5)])

    def breaking(cursor, sentinel, col_count, itersize):
        try:
            yield cursor.fetchmany(itersize)
            with connection.wrap_database_errors:
                raise lost()
        finally:
            cursor.close()

    monkeypatch.setattr("django.db.models.sql.compiler.cursor_iter", breaking)
    seen = []
    with pytest.raises(RepositoryUnavailable) as caught:
        seen.extend(item.name for item in Item.objects.order_by("pk").iterator(chunk_size=2))
    assert caught.value.fate == "not_applied"
    assert caught.value.model == "testapp.Item"


@pytest.fixture
def kept_ledger(_no_ledger):
    operation_ledger.keep_in(ledger.Operation)


@pytest.mark.usefixtures("kept_ledger")
def test_the_ledger_counts_the_attempt_that_was_applied(monkeypatch):
    """The database refuses the COMMIT of the first attempt, when everything has been counted and written down."""
    django, refused = BaseDatabaseWrapper._commit, []

    def refuse_once(self):
        if refused:
            return django(self)
        refused.append(self)
        with self.wrap_database_errors:
            raise deadlock()

    monkeypatch.setattr(BaseDatabaseWrapper, "_commit", refuse_once)
    with capture_operations() as log:
        Entry.objects.add_all([Entry(text="a"), Entry(text="b")])
    assert log[0].attempts == 2
    kept = ledger.Operation.objects.get(pk=log[0].id)
    assert kept.added == 2
    assert Entry.history.count() == 2


def test_what_a_model_does_by_itself_follows_its_repository(failing, monkeypatch):
    monkeypatch.setattr(type(Bare.objects), "retry", RetryPolicy(attempts=1))
    failing.errors = [never_sent()]
    with pytest.raises(RepositoryDatabaseError):
        Bare(name="a").save()
    entity = Bare.objects.create(name="b")
    failing.errors = [never_sent()]
    with pytest.raises(RepositoryDatabaseError):
        entity.delete()
