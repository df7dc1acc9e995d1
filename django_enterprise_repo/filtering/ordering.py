"""``"price:desc"`` and its like, made into an order that is total and the same on every engine."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.core.exceptions import ImproperlyConfigured
from django.db.models import F, Model
from django.db.models.expressions import OrderBy

from ..exceptions import InvalidOrdering
from ..policies import FilterPolicy
from .fields import resolve_policy
from .problems import Problems, echo, unknown_field

_DIRECTIONS = ("asc", "desc")
_NULLS = ("nulls_first", "nulls_last")


class Term(NamedTuple):
    """One term of an ordering.

    Attributes:
        path: the column as Django's ORM names it.
        descending: largest first.
        nulls_first: where nulls go; ``None`` where the column has none.
    """

    path: str
    descending: bool
    nulls_first: bool | None

    def expression(self) -> Any:
        """The term for ``QuerySet.order_by``."""
        if self.nulls_first is None:
            return f"-{self.path}" if self.descending else self.path
        natural = self.nulls_first is not self.descending
        kind = SmallestNull if natural else OrderBy
        placement = {"nulls_first": True} if self.nulls_first else {"nulls_last": True}
        return kind(F(self.path), descending=self.descending, **placement)


class Ordering(NamedTuple):
    """A whole ordering; its last term is the primary key, so that no two rows tie."""

    terms: tuple[Term, ...]
    fallback: tuple[Any, ...] = ()

    def expressions(self) -> tuple[Any, ...]:
        """The terms for ``QuerySet.order_by``."""
        chosen = tuple(term.expression() for term in self.terms) or self.fallback
        return chosen if "pk" in chosen or "-pk" in chosen else (*chosen, "pk")


class SmallestNull(OrderBy):
    """NULL before every value, said only where the engine would do otherwise.

    SQLite and MariaDB do it by themselves, and an explicit ``IS NULL`` would keep them from using an index.
    """

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        plain = OrderBy(self.expression, descending=self.descending)
        return plain.as_sql(compiler, connection, **context)

    as_mysql = as_sqlite


def compile_ordering(model: type[Model], policy: FilterPolicy, order_by: Any) -> Ordering:
    """Read an ordering within ``policy``; nothing asked means the policy's own order, else the model's.

    Raises:
        InvalidOrdering: with every problem found.
        ImproperlyConfigured: the policy, or the order that it gives by itself, does not fit the model.
    """
    if order_by is None or (isinstance(order_by, list | tuple) and not order_by):
        return _default(model, policy)
    return _read(model, policy, order_by)


def _default(model: type[Model], policy: FilterPolicy) -> Ordering:
    if not policy.ordering:
        return Ordering((), tuple(model._meta.ordering or ()))
    try:
        return _read(model, policy, policy.ordering)
    except InvalidOrdering as error:  # nobody asked for this order, so it is no client's mistake
        raise ImproperlyConfigured(f"{model._meta.label}: FilterPolicy.ordering: {error}.") from error


def _read(model: type[Model], policy: FilterPolicy, order_by: Any) -> Ordering:
    fields = resolve_policy(model, policy).fields
    problems = Problems()
    terms: list[Term] = []
    if not isinstance(order_by, list | tuple):
        problems.report((), "invalid_ordering", f"expected a list of terms, not {type(order_by).__name__}")
        raise InvalidOrdering(problems)
    if len(order_by) > policy.max_order:
        problems.report((), "too_many_terms", f"orderings have at most {policy.max_order} terms")
        raise InvalidOrdering(problems)
    for position, text in enumerate(order_by):
        term = _term(text, position, fields, problems)
        if term is None:
            continue
        if any(term.path == earlier.path for earlier in terms):
            problems.report((position, text), "duplicate", "the same column orders twice")
        terms.append(term)
    if problems:
        raise InvalidOrdering(problems)
    return Ordering(tuple(terms))


def _term(text: Any, position: int, fields: Any, problems: Problems) -> Term | None:
    if not isinstance(text, str):
        problems.report((position,), "invalid_ordering", f"terms are text, not {type(text).__name__}")
        return None
    path = (position, text)
    name, *modifiers = text.split(":")
    field = fields.get(name)
    if field is None or not field.sortable:
        if name.startswith("-") and name[1:] in fields:
            problems.report(path, "invalid_ordering", f"write {name[1:] + ':desc'!r} instead of {echo(text)}")
        else:
            problems.report(path, "unknown_field", unknown_field(name))
        return None
    directions = [modifier for modifier in modifiers if modifier in _DIRECTIONS]
    nulls = [modifier for modifier in modifiers if modifier in _NULLS]
    if modifiers != directions + nulls or len(directions) > 1 or len(nulls) > 1:
        message = "a term is 'field', 'field:asc' or 'field:desc', with ':nulls_first' or ':nulls_last' behind it"
        problems.report(path, "invalid_ordering", message)
        return None
    descending = directions == ["desc"]
    if not field.nullable:
        return Term(field.path, descending, None)
    return Term(field.path, descending, nulls[0] == "nulls_first" if nulls else not descending)
