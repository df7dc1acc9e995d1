"""Pruning histories: what is kept, what goes, and what an interruption costs."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_enterprise_repo import RetentionPolicy
from django_enterprise_repo.auditing.retention import PruneResult, prune_history
from django_enterprise_repo.exceptions import InvalidArgument, InvalidArgumentType
from django_enterprise_repo.management.commands import repository_audit
from tests.testapp.models import Audited, AuditedSeat, Bare, Labelled, Ledger, Numbered, Tag, Tower

ALIASES = ["default", "other"]
pytestmark = pytest.mark.django_db(databases=ALIASES)
committing = pytest.mark.django_db(databases=ALIASES, transaction=True)

DAYS_100 = RetentionPolicy(history=timedelta(days=100), keep_baseline=False)

#: How the key of the n-th row of each model is written.
KEYS: dict[Any, Any] = {
    Ledger: lambda n: {"id": n},
    Audited: lambda n: {"id": n},
    AuditedSeat: lambda n: {"row": "A", "number": n},
    Tower: lambda n: {"id": n, "building_ptr_id": n},
    Numbered: lambda n: {"id": n},
}


def record(model: Any, n: int, *versions: str, alias: str = "default") -> None:
    """Give the n-th row these versions, each the kind and the age in days: ``"~30"``."""
    rows = model.history.using(alias)
    for kind, *age in versions:
        date = timezone.now() - timedelta(days=int("".join(age)))
        rows.create(history_type=kind, history_date=date, **KEYS[model](n))


def left(model: Any, n: int, alias: str = "default") -> list[str]:
    """The versions of the n-th row that are still there, oldest first."""
    rows = model.history.using(alias).filter(**KEYS[model](n)).order_by("history_date", "history_id")
    return [f"{row.history_type}{(timezone.now() - row.history_date).days}" for row in rows]


# Each: name, what the policy says besides 100 days, the versions before and after.
CASES: list[tuple[str, dict[str, Any], list[str], list[str]]] = [
    ("the last one stays, however old", {}, ["+400", "~300", "~200"], ["~200"]),
    ("young ones stay", {}, ["+400", "~300", "~50", "~5"], ["~50", "~5"]),
    ("so many stay", {"keep_versions": 3}, ["+500", "~400", "~300", "~200"], ["~400", "~300", "~200"]),
    ("young ones count", {"keep_versions": 2}, ["+500", "~400", "~300", "~5"], ["~300", "~5"]),
    ("more stay than there are", {"keep_versions": 9}, ["+500", "~400"], ["+500", "~400"]),
    ("the baseline stays", {"keep_baseline": True}, ["+500", "~400", "~300", "~50", "~5"], ["~300", "~50", "~5"]),
    ("deleted long ago", {"keep_versions": 2}, ["+400", "~300", "-200"], []),
    ("deleted lately", {"keep_versions": 2}, ["+400", "~300", "-5"], ["~300", "-5"]),
    ("deletions kept", {"keep_deleted": True}, ["+400", "~300", "-200"], ["-200"]),
    ("come back", {}, ["+400", "-300", "+200"], ["+200"]),
    ("come back with more", {"keep_versions": 2}, ["+400", "-300", "+200"], ["-300", "+200"]),
    ("two lives, both over", {"keep_versions": 2}, ["+500", "-400", "+300", "-200"], []),
    ("everything is kept", {"history": None}, ["+400", "~300", "-200"], ["+400", "~300", "-200"]),
]


@pytest.mark.parametrize("model", KEYS)
@pytest.mark.parametrize(("changes", "before", "after"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_is_kept_and_what_goes(model, changes, before, after):
    record(model, 1, *before)
    record(model, 2, "~300")
    policy = RetentionPolicy(**{"history": timedelta(days=100), "keep_baseline": False, **changes})

    counted = prune_history(model, policy, dry_run=True)

    assert left(model, 1) == before, "a dry run writes nothing"
    pruned = prune_history(model, policy, batch_size=2)
    assert left(model, 1) == after
    assert left(model, 2) == ["~300"]
    assert counted.rows == pruned.rows == len(before) - len(after)
    assert (counted.old, counted.batches) == (pruned.old, 0)
    assert prune_history(model, policy).rows == 0


@pytest.mark.parametrize("model", [Ledger, Audited, AuditedSeat])
def test_of_versions_of_one_moment_the_one_written_last_is_the_last(model):
    moment = timezone.now() - timedelta(days=300)
    rows = [model.history.create(history_type="~", history_date=moment, **KEYS[model](1)) for _ in range(5)]

    prune_history(model, RetentionPolicy(history=timedelta(days=100), keep_versions=2))

    assert set(model.history.values_list("history_id", flat=True)) == {row.history_id for row in rows[-2:]}


def test_unless_told_otherwise_every_moment_of_the_period_can_be_read():
    moment = timezone.now() - timedelta(days=50)
    for n, policy in enumerate((DAYS_100, RetentionPolicy(history=timedelta(days=100))), start=1):
        record(Ledger, n, "+400", "~300", "~5")
        prune_history(Ledger, policy)
        assert Ledger.history.as_of(moment).filter(id=n).exists() is policy.keep_baseline
        Ledger.history.all().delete()


@pytest.fixture
def labelled():
    """A row with three versions, two of them old; the second and the third have one tag and two."""
    entity = Labelled.objects.add(Labelled(name="a"))
    for label in ("x", "y"):
        entity.tags.add(Tag.objects.add(Tag(label=label)))
    keys = list(Labelled.history.order_by("history_id").values_list("history_id", flat=True))
    Labelled.history.filter(history_id__in=keys[:2]).update(history_date=timezone.now() - timedelta(days=200))
    return Labelled.history.model.tags.model.objects


def test_many_to_many_rows_go_with_the_rows_they_belong_to(labelled):
    assert prune_history(Labelled, DAYS_100, dry_run=True)[1:] == (2, 2, 1, 0)
    assert labelled.count() == 3

    assert prune_history(Labelled, DAYS_100)[1:] == (2, 2, 1, 1)

    (row,) = Labelled.history.all()
    assert set(labelled.values_list("history_id", flat=True)) == {row.history_id}
    assert labelled.count() == 2


def test_a_batch_is_deleted_as_a_whole_or_not_at_all(labelled):
    table = Labelled.history.model._meta.db_table

    def fail(execute, sql, params, many, context):
        if sql.startswith("DELETE") and f"{table} " in sql.replace('"', "").replace("`", ""):
            raise RuntimeError("no")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(fail), pytest.raises(RuntimeError, match="^no$"):
        prune_history(Labelled, DAYS_100)

    assert (Labelled.history.count(), labelled.count()) == (3, 3)


class Interruption:
    """What somebody does who presses Ctrl-C after the first batch."""

    def __init__(self) -> None:
        self.results: list[PruneResult] = []

    def __call__(self, result: PruneResult) -> None:
        self.results.append(result)
        raise KeyboardInterrupt


@committing
def test_after_an_interruption_the_next_run_goes_on():
    date = timezone.now() - timedelta(days=300)
    for age, kind in enumerate("-~~~~~+"):  # the deletion has the lowest id, as random ids may well have it
        Ledger.history.create(history_id=age + 1, id=1, history_type=kind, history_date=date - timedelta(days=age))
    rows = 7
    while rows:
        interruption = Interruption()
        with pytest.raises(KeyboardInterrupt):
            prune_history(Ledger, DAYS_100, batch_size=2, progress=interruption)

        (result,) = interruption.results
        assert result.rows > 0, "what one run left, the next can prune"
        rows -= result.rows
        assert len(left(Ledger, 1)) == rows


@committing
def test_batches_are_transactions_of_bounded_size():
    for n in range(12):
        record(Ledger, n, "+400", "~300")
    results: list[PruneResult] = []

    with CaptureQueriesContext(connection) as captured:
        result = prune_history(Ledger, DAYS_100, batch_size=5, progress=results.append)

    sizes = [later.rows - earlier.rows for earlier, later in zip([PruneResult(""), *results], results, strict=False)]
    statements = [query["sql"].split()[0] for query in captured]
    assert result == ("testapp.Ledger", 24, 12, 0, results[-1].batches)
    assert max(sizes) <= 5
    assert sum(sizes) == 12
    assert statements.count("COMMIT") == statements.count("DELETE") == result.batches
    assert not any("OFFSET" in query["sql"] for query in captured)


def test_statements_grow_with_the_batches_and_not_with_the_rows():
    counts = []
    for rows in (10, 100):
        for n in range(rows):
            record(Ledger, n, "+400", "~300")
        with CaptureQueriesContext(connection) as captured:
            assert prune_history(Ledger, DAYS_100).rows == rows
        counts.append(len(captured))
        Ledger.history.all().delete()

    assert counts[0] == counts[1]


def test_inside_a_transaction_nothing_is_pruned():
    record(Ledger, 1, "+400", "~300")

    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        prune_history(Ledger, DAYS_100)

    assert left(Ledger, 1) == ["+400", "~300"]


def test_the_other_database():
    for alias in ("default", "other"):
        record(Ledger, 1, "+400", "~300", alias=alias)

    assert prune_history(Ledger, DAYS_100, using="other").rows == 1

    assert left(Ledger, 1, "other") == ["~300"]
    assert left(Ledger, 1) == ["+400", "~300"]


@pytest.mark.parametrize(
    ("model", "policy", "options", "error"),
    [
        (Bare, DAYS_100, {}, InvalidArgument),
        (Ledger, None, {}, InvalidArgument),
        (Ledger, timedelta(days=3), {}, InvalidArgumentType),
        (Ledger, DAYS_100, {"batch_size": 0}, InvalidArgument),
        (Ledger, DAYS_100, {"batch_size": 10_001}, InvalidArgument),
        (Ledger, DAYS_100, {"batch_size": True}, InvalidArgument),
    ],
)
def test_what_cannot_be_pruned_is_refused(model, policy, options, error):
    with pytest.raises(error):
        prune_history(model, policy, **options)


# The command.


def prune(*args: str, **options: Any) -> str:
    out = StringIO()
    call_command("repository_audit", "prune", *args, stdout=out, **options)
    return out.getvalue()


@pytest.fixture
def old() -> None:
    for model in (Ledger, Audited):
        record(model, 1, "+400", "~300", "~50", "~5")


@pytest.fixture
def policy(monkeypatch):
    """Of the models with history one has a policy."""
    kept = RetentionPolicy(history=timedelta(days=100), keep_versions=3, keep_baseline=False)
    monkeypatch.setattr(Ledger.objects, "retention", kept)


@pytest.mark.usefixtures("old", "policy")
def test_without_a_name_the_models_with_a_policy_are_pruned():
    output = prune()

    assert output.splitlines() == [
        "model           old  deleted  many-to-many",
        "testapp.Ledger    2        1             0",
    ]
    assert left(Ledger, 1) == ["~300", "~50", "~5"]
    assert left(Audited, 1) == ["+400", "~300", "~50", "~5"]


@pytest.mark.usefixtures("old", "policy")
def test_the_period_given_wins_over_that_of_the_policy():
    prune("--older-than", "350")
    assert left(Ledger, 1) == ["~300", "~50", "~5"]

    prune("testapp.Ledger", "testapp.Audited", "testapp.Ledger", "--older-than", "30", "--batch-size", "1")
    assert left(Ledger, 1) == ["~300", "~50", "~5"], "the rest of the policy still holds"
    assert left(Audited, 1) == ["~50", "~5"], "without a policy of its own, with the baseline"


@pytest.mark.usefixtures("old", "policy")
def test_the_result_as_json_of_a_dry_run():
    document = json.loads(prune("--json", "--dry-run"))

    assert document == {
        "dry_run": True,
        "models": [{"model": "testapp.Ledger", "old": 2, "rows": 1, "m2m_rows": 0, "batches": 0}],
    }
    assert left(Ledger, 1) == ["+400", "~300", "~50", "~5"]
    assert "to delete" in prune("--dry-run")


@pytest.mark.usefixtures("policy")
def test_the_database_given_is_the_one_that_is_pruned():
    for alias in ("default", "other"):
        record(Ledger, 1, "+400", "~50", "~20", "~5", alias=alias)

    prune("--database", "other")

    assert left(Ledger, 1, "other") == ["~50", "~20", "~5"]
    assert left(Ledger, 1) == ["+400", "~50", "~20", "~5"]


@pytest.mark.usefixtures("old", "policy")
def test_long_work_says_on_stderr_how_far_it_is(monkeypatch):
    errors = StringIO()
    prune("--dry-run", stderr=errors)
    prune("testapp.Audited", "--older-than", "200", stderr=errors)
    assert errors.getvalue() == "", "work is long after seconds"

    monkeypatch.setattr(repository_audit._Progress, "seconds", 0)
    prune(stderr=errors, verbosity=0)
    assert errors.getvalue() == ""
    prune(stderr=errors)
    assert errors.getvalue() == "testapp.Ledger: 1 old rows looked at, 0 deleted\n"


@pytest.mark.usefixtures("old")
@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "No model with a history has a retention policy."),
        (["--older-than", "5"], "No model with a history has a retention policy."),
        (["testapp.Ledger"], "testapp.Ledger has no retention policy; give --older-than."),
        (["testapp.Nothing"], "There is no model 'testapp.Nothing'"),
        (["testapp"], "There is no model 'testapp'"),
        (["testapp.Bare", "--older-than", "5"], "testapp.Bare has no history of its own."),
        (["testapp.Ledger", "testapp.Bare", "--older-than", "5"], "testapp.Bare has no history of its own."),
        (["testapp.Ledger", "--older-than", "0"], "--older-than is a number of days"),
        (["testapp.Ledger", "--older-than=-5"], "--older-than is a number of days"),
        (["testapp.Ledger", "--older-than", "9" * 12], "--older-than is a number of days"),
        (["testapp.Ledger", "--older-than", "soon"], "--older-than"),
        (["testapp.Ledger", "--older-than", "5", "--batch-size", "0"], "batch_size is an int from 1 to 10,000."),
        (["testapp.Ledger", "--older-than", "5", "--database", "moon"], "--database"),
    ],
)
def test_what_the_command_refuses(args, message):
    with pytest.raises(CommandError) as error:
        prune(*args)

    assert message in str(error.value)
    assert error.value.returncode == 1
    assert left(Ledger, 1) == ["+400", "~300", "~50", "~5"]


@committing
@pytest.mark.usefixtures("old", "policy")
def test_ctrl_c_is_told_and_keeps_what_is_committed(monkeypatch):
    monkeypatch.setattr(repository_audit, "_Progress", lambda stream: Interruption())

    with pytest.raises(CommandError, match="Interrupted"):
        prune("--batch-size", "1")

    assert left(Ledger, 1) == ["~300", "~50", "~5"]
