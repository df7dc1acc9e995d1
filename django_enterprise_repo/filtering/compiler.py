"""From a shape and its values to the condition that Django's ORM understands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from django.db.models import Model, Q

from ..exceptions import InvalidFilter
from ..policies import FilterPolicy
from .fields import ResolvedField, ResolvedPolicy, resolve_policy
from .grammar import Reader, Shape
from .json_paths import json_condition
from .operators import LOOKUPS


class Filter(NamedTuple):
    """A dict filter that was found good.

    Attributes:
        shape: structure, names and operators; hashable, and equal for filters that differ in values only.
        values: what is compared with, one for each condition of the shape, in its order.
    """

    shape: Shape
    values: tuple[Any, ...]
    policy: ResolvedPolicy

    @property
    def is_empty(self) -> bool:
        """Whether there is no condition at all."""
        return not self.values

    def q(self) -> Q:
        """The condition, with names that only the policy can have put there."""
        condition = _condition(self.shape, iter(self.values), self.policy.fields)
        return condition if isinstance(condition, Q) else Q(condition)


def compile_filter(model: type[Model], policy: FilterPolicy, filters: Any) -> Filter:
    """Read a client's filter within ``policy``; ``None`` and ``{}`` mean every row.

    Raises:
        InvalidFilter: with every problem found, each with its path; then nothing of it is used.
        ImproperlyConfigured: the policy does not fit the model.
    """
    resolved = resolve_policy(model, policy)
    if filters is None:
        return Filter(("and",), (), resolved)
    reader = Reader(resolved)
    shape = reader.read(filters)
    if reader.problems:
        raise InvalidFilter(reader.problems)
    return Filter(shape, tuple(reader.values), resolved)


# A plain comparison stays a pair of lookup and value: the ORM takes it as it is, and a Q around each would cost it a
# recursion.
Condition = Q | tuple[str, Any]


def _condition(shape: Shape, values: Iterator[Any], fields: Mapping[str, ResolvedField]) -> Condition:
    kind, *rest = shape
    if kind == "is":
        name, operator = rest
        return _leaf(fields[name], operator, next(values))
    if kind == "not":
        return _negated(_condition(rest[0], values, fields))
    children: list[Any] = [_condition(child, values, fields) for child in rest]
    return Q.create(children, connector=Q.OR if kind == "or" else Q.AND)


def _leaf(column: ResolvedField, operator: str, value: Any) -> Condition:
    lookup, is_negative, render = LOOKUPS[operator]
    if render is not None:
        value = render(value)
    condition: Condition
    if column.keys:
        condition = json_condition(column.path, column.keys, column.kind, lookup, value)
    elif lookup == "exact":
        condition = (column.path, value)
    else:
        condition = (f"{column.path}__{lookup}", value)
    return _negated(condition) if is_negative else condition


def _negated(condition: Condition) -> Q:
    return ~condition if isinstance(condition, Q) else ~Q(condition)
