"""Where a repository's rows begin: conditions that belong to the repository and not to the caller.

A repository narrows its rows by hiding deleted ones and by ``scope()``. Those conditions have to be told apart
from what a caller filtered for: ``with_deleted()`` takes the first kind away again, and ``delete_all()``
without a filter must be refused although a tenant's condition is there. They are kept in a where node of
their own class.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db.models import QuerySet
from django.db.models.expressions import Col
from django.db.models.lookups import IsNull
from django.db.models.sql.where import NothingNode, WhereNode


class ScopeNode(WhereNode):
    """Conditions of the repository itself."""


def enclose(queryset: QuerySet[Any]) -> None:
    """Mark every condition that ``queryset`` has now as its repository's own. In place."""
    where = queryset.query.where
    if where.children and not (len(where.children) == 1 and isinstance(where.children[0], ScopeNode)):
        scope = ScopeNode(where.children, where.connector, where.negated)
        queryset.query.where = WhereNode([scope])


def add_condition(queryset: QuerySet[Any], condition: Any) -> None:
    """Add a resolved or unresolved conditional expression as the repository's own. In place."""
    clause, _ = queryset.query.build_filter(condition)
    queryset.query.where.children.append(ScopeNode([clause]))


def remove(queryset: QuerySet[Any], unwanted: Callable[[Any], bool]) -> None:
    """Take the repository's conditions that are ``unwanted`` out of the tree, however deep. In place."""
    _prune(queryset.query.where, unwanted)


def _prune(node: WhereNode, unwanted: Callable[[Any], bool]) -> None:
    kept = []
    for child in node.children:
        if isinstance(child, WhereNode):
            _prune(child, unwanted)
            if isinstance(child, ScopeNode) and not child.children and node.connector == WhereNode.default:
                continue  # an empty scope means every row; only as one side of an OR it has to stay and say so
        elif unwanted(child):
            continue
        kept.append(child)
    node.children[:] = kept


def is_narrowed(queryset: QuerySet[Any], ignoring: Callable[[Any], bool]) -> bool:
    """Whether any condition, the repository's or a caller's, limits the rows beyond the ignored ones."""
    return _any_condition(queryset.query.where, ignoring)


def _any_condition(node: WhereNode, ignoring: Callable[[Any], bool]) -> bool:
    return any(
        _any_condition(child, ignoring) if isinstance(child, WhereNode) else not ignoring(child)
        for child in node.children
    )


def is_bound(queryset: QuerySet[Any]) -> bool:
    """Whether the caller's own conditions can leave a row out.

    Conditions of the scope don't count, and neither does a tree that is true for every row, such as
    ``~Q(pk__in=[])``: the compiler knows those.
    """
    query = queryset.query
    if query.is_sliced or query.combinator or query.distinct_fields:
        return True  # not refused here: Django has its own words for writes on these
    where = query.where.clone()
    _drop_scope(where)
    _settle_null_tests(where)
    if not where.children:
        return False
    try:
        sql, _ = query.clone().get_compiler(using=queryset.db).compile(where)
    except FullResultSet:
        return False
    except EmptyResultSet:
        return True
    return bool(sql)


def _settle_null_tests(node: WhereNode) -> None:
    """Replace the null tests of columns that are never null by what they always answer."""
    for position, child in enumerate(node.children):
        if isinstance(child, WhereNode):
            _settle_null_tests(child)
        elif isinstance(child, IsNull) and isinstance(child.lhs, Col) and not child.lhs.target.null:
            table = child.lhs.target.model._meta.db_table
            if child.lhs.alias == table:  # a joined table's column may be null for want of a row
                node.children[position] = WhereNode([NothingNode()], negated=not child.rhs)


def _drop_scope(node: WhereNode) -> None:
    node.children[:] = [child for child in node.children if not isinstance(child, ScopeNode)]
    for child in node.children:
        if isinstance(child, WhereNode):
            _drop_scope(child)
