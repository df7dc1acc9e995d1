"""More than equality: whether a value is the same in every way that a program could tell."""

from __future__ import annotations

import struct
from datetime import datetime, time
from decimal import Decimal
from typing import Any


def identical(first: Any, second: Any) -> bool:
    """Whether both have one type and one value, down to exponents, signs of zero, folds and the order of keys."""
    if type(first) is not type(second):
        return False
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(identical, first, second))
    if isinstance(first, dict):
        return identical(list(first.items()), list(second.items()))
    if isinstance(first, float):
        return struct.pack("d", first) == struct.pack("d", second)
    if isinstance(first, Decimal):
        return first.as_tuple() == second.as_tuple()
    if isinstance(first, datetime | time):
        parts = [(value.replace(tzinfo=None), value.fold, value.tzinfo) for value in (first, second)]
        return parts[0] == parts[1]
    if hasattr(first, "isempty"):  # a range
        return identical(*[(value.lower, value.upper, value.bounds, value.isempty) for value in (first, second)])
    return bool(first == second)
