"""What a failed attempt means: for the breaker, for another attempt, and for who called."""

from __future__ import annotations

from django.db.models import Model

from ..exceptions import CommitOutcomeUnknown, Fate, QueryTimeout, RepositoryDatabaseError, RepositoryUnavailable
from ..resilience.classification import Verdict, classify, first_cause
from ..resilience.guards import ConnectionGuard, is_in_transaction, recorded_alias, recorded_verdict
from .operation import Operation, OperationSpec

#: What is no failure of this operation's database.
_NO_CONCERN = Verdict("other", "void", "not_applied", transient=False, drop=False, code=None)


def judge(failure: BaseException, operation: Operation, guard: ConnectionGuard) -> Verdict:
    """The verdict on an attempt that ended in ``failure``, its fate that of the whole attempt."""
    if is_of_another(failure, operation.spec.alias):
        return _NO_CONCERN
    verdict = recorded_verdict(failure) or _classified(failure, operation, guard)
    is_cut = verdict.drop or verdict.kind == "timeout"
    if guard.watch is not None and guard.watch.expired and is_cut and isinstance(failure, Exception):
        # We have cut the connection ourselves. That the database is slow is no proof that it is gone; that it lets
        # nobody connect is.
        vote = "slow" if guard.watch.has_cut else verdict.vote
        verdict = verdict._replace(kind="deadline", vote=vote, transient=False)
    return verdict._replace(fate=_fate(verdict.fate, operation, guard))


def is_of_another(failure: BaseException, alias: str) -> bool:
    """Whether another database has failed, which something inside the operation had asked.

    That says nothing about the connection in hand, and whoever asked has been told already.
    """
    told = failure.alias if isinstance(failure, RepositoryDatabaseError) else recorded_alias(failure)
    return told is not None and told != alias


def _classified(failure: BaseException, operation: Operation, guard: ConnectionGuard) -> Verdict:
    """The verdict where no engine has recorded one."""
    cause = first_cause(failure)
    is_connecting = cause is failure and operation.connection.connection is None
    return classify(cause, "connect" if is_connecting else guard.phase)


def _fate(fate: Fate, operation: Operation, guard: ConnectionGuard) -> Fate:
    """What became of the attempt, where ``fate`` is what became of its last statement."""
    if guard.committed:
        return "unknown"  # some of it is there for good
    if fate == "not_applied" or is_in_transaction(operation.connection):
        return "not_applied"
    return "not_applied" if operation.spec.effect == "read" and _is_repeatable(operation.spec) else "unknown"


def _is_repeatable(spec: OperationSpec) -> bool:
    return spec.retry_safe() if callable(spec.retry_safe) else spec.retry_safe


def describe_failure(failure: BaseException, verdict: Verdict, operation: Operation) -> BaseException:
    """``failure`` in the package's words, or as it is where there are none better."""
    spec = operation.spec
    if not isinstance(failure, Exception) or is_of_another(failure, spec.alias):
        return failure
    if isinstance(failure, RepositoryDatabaseError):
        failure.model = failure.model or spec.model._meta.label
        failure.alias = failure.alias or spec.alias
        failure.fate = verdict.fate
        described: Exception = failure
    elif verdict.kind == "deadline":
        described = QueryTimeout(
            kind="deadline", model=spec.model._meta.label, alias=spec.alias, code=verdict.code, fate=verdict.fate
        )
    else:
        described = _translated(failure, verdict, spec.model, spec.alias)
    if spec.effect == "write" and verdict.fate == "unknown" and isinstance(described, RepositoryUnavailable):
        return described if isinstance(described, CommitOutcomeUnknown) else _outcome_unknown(described)
    return described


def fetch_failure(failure: Exception, model: type[Model], alias: str) -> Exception:
    """``failure``, met while rows were handed out and so beyond any attempt, in the package's words."""
    verdict = recorded_verdict(failure) or classify(failure, "fetch")
    return _translated(failure, verdict._replace(fate="not_applied"), model, alias)


def _translated(failure: Exception, verdict: Verdict, model: type[Model], alias: str) -> Exception:
    # Imported by the first failure: its patterns take longer to compile than the rest of the package to load.
    from ..resilience.translation import translate

    return translate(failure, verdict, model=model, alias=alias)


def _outcome_unknown(unavailable: RepositoryUnavailable) -> CommitOutcomeUnknown:
    return CommitOutcomeUnknown(
        model=unavailable.model, alias=unavailable.alias, code=unavailable.code, fate=unavailable.fate
    )
