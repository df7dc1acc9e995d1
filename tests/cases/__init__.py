"""Filters, orderings and page requests that strangers send, each with the answer it must get."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any


def load_cases(*groups: str) -> list[dict[str, Any]]:
    """The cases of these groups, with their generated values made."""
    text = Path(__file__).with_name("hostile_filters.json").read_text(encoding="utf-8")
    return [case for case in json.loads(text, object_hook=_grow) if case["group"] in groups]


def _grow(node: dict[str, Any]) -> Any:
    """JSON cannot say NaN, a cycle or a nesting of 20,000 levels; a marker says how to make them."""
    marker = node.get("$gen")
    return node if marker is None else _MAKERS[marker](node)


def _nested(node: dict[str, Any]) -> Any:
    tree: Any = {"stock": 1}
    for level in range(node["depth"]):
        tree = {"and" if level % 2 else "or": [tree, {"stock": 2}]}
    return tree


def _negated(node: dict[str, Any]) -> Any:
    tree: Any = {"stock": 1}
    for _level in range(node["depth"]):
        tree = {"not": tree}
    return tree


def _cycle(node: dict[str, Any]) -> Any:
    tree: dict[str, Any] = {}
    tree["and"] = [tree]
    return tree


def _column(node: dict[str, Any]) -> Any:
    from django.db.models import F

    return F(node["name"])


def _raw_sql(node: dict[str, Any]) -> Any:
    from django.db.models.expressions import RawSQL

    return RawSQL(node["sql"], [])


def _subquery(node: dict[str, Any]) -> Any:
    from django.contrib.auth import get_user_model

    return get_user_model()._default_manager.values("pk")


_MAKERS = {
    "nan": lambda node: float("nan"),
    "inf": lambda node: float("inf"),
    "-inf": lambda node: float("-inf"),
    "decimal": lambda node: Decimal(node["value"]),
    "bytes": lambda node: node["value"].encode(),
    "pow": lambda node: node.get("sign", 1) * node["base"] ** node["exp"],
    "repeat": lambda node: node["value"] * node["times"],
    "range": lambda node: list(range(node["stop"])),
    "items": lambda node: [node["value"]] * node["times"],
    "nest": _nested,
    "nest_not": _negated,
    "wide": lambda node: {"or": [{"stock": number} for number in range(node["count"])]},
    "keys": lambda node: {f"f{number}": 1 for number in range(node["count"])},
    "cycle": _cycle,
    "F": _column,
    "RawSQL": _raw_sql,
    "subquery": _subquery,
    "tuplekey": lambda node: {(1, 2): 3},
    "intkey": lambda node: {5: 1},
}
