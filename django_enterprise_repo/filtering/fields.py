"""A filter policy resolved against a model: public names and the columns behind them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.db.models import DecimalField, Field, JSONField, Model
from django.db.models.constants import LOOKUP_SEP

from ..policies import FilterField, FilterPolicy
from .coercion import Coercer, json_kind, kind_of
from .operators import BY_KIND, KNOWN, OPT_IN

_JSON_STEP = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
# Django takes such a step for a position in an array, whatever it leads to.
_NUMERIC = re.compile(r"-?[0-9]+(_[0-9]+)*", re.ASCII)
_POSITION = re.compile(r"[0-9]{1,9}", re.ASCII)
_ALWAYS_SENSITIVE = frozenset({"password"})


class ResolvedField(NamedTuple):
    """A public name and what is behind it.

    Attributes:
        name: what clients write.
        path: the column as Django's ORM names it.
        kind: the family of columns that compare alike, ``"opaque"`` for those that only know null.
        coerce: makes a client's value comparable with the column.
        operators: the operators allowed.
        nullable: whether the value may be null, also because a relation on the way may be.
        sortable: whether an ordering may use it.
        keys: the way from there into a JSON document, empty for the column itself.
        places: decimals of a decimal column, else ``None``.
    """

    name: str
    path: str
    kind: str
    coerce: Coercer | None
    operators: frozenset[str]
    nullable: bool
    sortable: bool
    keys: tuple[str, ...]
    places: int | None


class ResolvedPolicy(NamedTuple):
    """A policy made ready for one model."""

    model: type[Model]
    policy: FilterPolicy
    fields: Mapping[str, ResolvedField]


# Policies are few, but each unpickled queryset brings a copy of its own.
_MOST_POLICIES = 100
_resolved: WeakKeyDictionary[type[Model], dict[int, ResolvedPolicy]] = WeakKeyDictionary()


def resolve_policy(model: type[Model], policy: FilterPolicy) -> ResolvedPolicy:
    """``policy`` for ``model``; the work is done once for each pair.

    Raises:
        ImproperlyConfigured: a declared field has no column behind it, or the wrong one.
    """
    # By identity, as policies are class attributes: hashing all their fields at each call would cost more than
    # the rest of it. The entry holds the policy, so its id stays its own.
    by_policy = _resolved.setdefault(model, {})
    found = by_policy.get(id(policy))
    if found is None:
        if len(by_policy) >= _MOST_POLICIES:
            by_policy.clear()
        fields = {field.name: field for field in _resolve(model, policy)}
        found = by_policy[id(policy)] = ResolvedPolicy(model, policy, fields)
    return found


def _resolve(model: type[Model], policy: FilterPolicy) -> Iterator[ResolvedField]:
    if policy.fields:
        for declared in policy.declared():
            yield _declared(model, declared)
        return
    closed = _ALWAYS_SENSITIVE | set(policy.sensitive)
    for field in model._meta.concrete_fields:
        if field.column is None or {field.name, field.attname} & closed:
            continue  # a composite key has no column of its own
        for name in dict.fromkeys((field.name, field.attname)):
            yield _column(FilterField(name), field, path=field.attname, nullable=field.null)


def _declared(model: type[Model], declared: FilterField) -> ResolvedField:
    steps = (declared.path or declared.name).split(LOOKUP_SEP)
    nullable, owner = False, model
    for position, step in enumerate(steps):
        field = _step(owner, step, declared, model)
        rest = steps[position + 1 :]
        nullable = nullable or field.null
        if isinstance(field, JSONField) and (rest or declared.type):
            return _json_path(declared, steps, rest, model)
        if not rest:
            if declared.type is not None:
                raise _misconfigured(model, declared, "has a column's own type; type= is for JSON paths")
            steps[-1] = field.attname
            return _column(declared, field, path=LOOKUP_SEP.join(steps), nullable=nullable)
        owner = field.related_model
        if owner is None:
            raise _misconfigured(model, declared, f"goes on after {step!r}, which is no relation")
    raise AssertionError("a path has at least one step")


def _step(owner: type[Model], step: str, declared: FilterField, model: type[Model]) -> Any:
    try:
        field = owner._meta.pk if step == "pk" else owner._meta.get_field(step)
    except FieldDoesNotExist:
        raise _misconfigured(model, declared, f"names {step!r}, which {owner._meta.label} does not have") from None
    if not isinstance(field, Field) or not field.concrete or field.many_to_many or field.column is None:
        raise _misconfigured(model, declared, f"uses {step!r}, which is no column and leads to no single row")
    return field


def _column(declared: FilterField, field: Field[Any, Any], *, path: str, nullable: bool) -> ResolvedField:
    kind = kind_of(field)
    name = "opaque" if kind is None else kind.name
    target = field if field.remote_field is None else field.target_field  # type: ignore[attr-defined]
    return ResolvedField(
        name=declared.name,
        path=path,
        kind=name,
        coerce=None if kind is None else kind.coerce,
        operators=_operators(declared, name),
        nullable=nullable,
        sortable=declared.order and kind is not None,
        keys=(),
        places=target.decimal_places if isinstance(target, DecimalField) else None,
    )


def _json_path(declared: FilterField, steps: list[str], rest: list[str], model: type[Model]) -> ResolvedField:
    if not rest:
        raise _misconfigured(model, declared, "is a whole JSON document; declare a path into it")
    if declared.type is None:
        raise _misconfigured(model, declared, "is a JSON path and needs type=")
    if not all(_JSON_STEP.fullmatch(step) for step in rest):
        raise _misconfigured(model, declared, "has a JSON step with characters other than letters, digits, - and _")
    if any(_NUMERIC.fullmatch(step) and not _POSITION.fullmatch(step) for step in rest):
        raise _misconfigured(model, declared, "has a JSON step that is a number but no position of at most nine digits")
    kind = json_kind(declared.type)
    operators = _operators(declared, kind.name)
    if kind.name == "text":
        # The engines order JSON text by different rules, so that only equality and patterns have one meaning.
        operators -= {"gt", "gte", "lt", "lte", "between"}
    return ResolvedField(
        name=declared.name,
        path=LOOKUP_SEP.join(steps[: -len(rest)]),
        kind=kind.name,
        coerce=kind.coerce,
        operators=operators,
        nullable=True,
        sortable=False,  # nor do they order JSON values alike
        keys=tuple(rest),
        places=None,
    )


def _operators(declared: FilterField, kind: str) -> frozenset[str]:
    fitting = BY_KIND[kind]
    if declared.operators is None:
        return fitting
    chosen = frozenset(declared.operators)
    allowed = fitting | (OPT_IN if kind == "text" else frozenset())
    if chosen - allowed:
        wrong = min(chosen - allowed)
        reason = "does not exist" if wrong not in KNOWN else f"does not fit a {kind} column"
        raise ImproperlyConfigured(f"Filter field {declared.name!r}: the operator {wrong!r} {reason}.")
    return chosen


def _misconfigured(model: type[Model], declared: FilterField, what: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"{model._meta.label}: filter field {declared.name!r} {what}.")
