"""The operators: which fit which kind of column, and what they mean as a Django condition."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import ROUND_FLOOR, Context, Decimal
from typing import Any

from .lookups import ILIKE, LIKE
from .patterns import escape

EQUALITY = frozenset({"eq", "ne", "in", "not_in", "is_null"})
ORDER = frozenset({"gt", "gte", "lt", "lte", "between"})
#: Operators whose value is a pattern with wildcards.
PATTERNS = frozenset({"like", "not_like", "ilike", "not_ilike"})
TEXT = PATTERNS | {"contains", "icontains", "starts_with", "istarts_with", "ends_with", "iends_with"}
#: Only where a field names it: a regular expression from a stranger can keep an engine busy for minutes.
OPT_IN = frozenset({"regex"})

# The default context's 28 digits are fewer than a column may have.
_WIDE = Context(prec=1000)

KNOWN = EQUALITY | ORDER | TEXT | OPT_IN

#: The operators of each kind of column.
BY_KIND: Mapping[str, frozenset[str]] = {
    "text": EQUALITY | ORDER | TEXT,
    "number": EQUALITY | ORDER,
    "decimal": EQUALITY | ORDER,
    "moment": EQUALITY | ORDER,
    "boolean": EQUALITY,
    "identifier": EQUALITY,
    "opaque": frozenset({"is_null"}),
}

#: Operator -> (Django lookup, negated, how the value becomes the lookup's right-hand side).
LOOKUPS: Mapping[str, tuple[str, bool, Callable[[Any], Any] | None]] = {
    "eq": ("exact", False, None),
    "ne": ("exact", True, None),
    "gt": ("gt", False, None),
    "gte": ("gte", False, None),
    "lt": ("lt", False, None),
    "lte": ("lte", False, None),
    "in": ("in", False, None),
    "not_in": ("in", True, None),
    "is_null": ("isnull", False, None),
    "regex": ("regex", False, None),
    "like": (LIKE, False, None),
    "not_like": (LIKE, True, None),
    "ilike": (ILIKE, False, None),
    "not_ilike": (ILIKE, True, None),
    "contains": (LIKE, False, lambda text: f"%{escape(text)}%"),
    "icontains": (ILIKE, False, lambda text: f"%{escape(text)}%"),
    "starts_with": (LIKE, False, lambda text: f"{escape(text)}%"),
    "istarts_with": (ILIKE, False, lambda text: f"{escape(text)}%"),
    "ends_with": (LIKE, False, lambda text: f"%{escape(text)}"),
    "iends_with": (ILIKE, False, lambda text: f"%{escape(text)}"),
}


def exact_decimal(operator: str, value: Any, places: int) -> tuple[str, Any]:
    """The same condition with a value that has no more decimals than the column.

    Django rounds a value to the column's places before it compares, so that ``lt 10.001`` would lose the row
    with 10.00. Between two neighbouring values of the column every bound can be moved to the lower one: less
    than 10.001 is at most 10.00. No value of the column equals 10.001.
    """
    if operator in ("in", "not_in"):
        return operator, [item for item in value if _floor(item, places) == item]
    if not isinstance(value, Decimal):
        return operator, value
    below = _floor(value, places)
    if below == value:
        return operator, value
    if operator in ("eq", "ne"):
        return ("in", []) if operator == "eq" else ("not_in", [])
    return {"lt": "lte", "lte": "lte", "gt": "gt", "gte": "gt"}[operator], below


def _floor(value: Decimal, places: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_FLOOR, context=_WIDE)
