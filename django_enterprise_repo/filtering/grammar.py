"""The filter language: a dict, read into the shape of its conditions and their coerced values.

A shape holds the structure, the names and the operators, and no value: two filters of the same shape differ in
nothing but what they compare with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .coercion import Refused
from .fields import ResolvedField, ResolvedPolicy
from .operators import PATTERNS, TEXT, exact_decimal
from .patterns import PatternError, parse_pattern, wildcards
from .problems import Path, Problems, echo, unknown_field

#: ``("and" | "or", children…)``, ``("not", child)`` or ``("is", name, operator)``.
Shape = tuple[Any, ...]

_NOTHING = object()


class Reader:
    """Reads one filter; what it cannot read ends in ``problems``."""

    def __init__(self, policy: ResolvedPolicy) -> None:
        self._fields = policy.fields
        self._caps = policy.policy
        self.problems = Problems()
        self.values: list[Any] = []
        self._conditions = 0

    def read(self, filters: Any) -> Shape:
        return self._object(filters, (), 1)

    def _object(self, filters: Any, path: Path, depth: int) -> Shape:
        # The depth is looked at before anything is entered, so that no input can exhaust the stack.
        if depth > self._caps.max_depth:
            self.problems.report(path, "too_deep", f"filters nest at most {self._caps.max_depth} levels deep")
            return ()
        if not isinstance(filters, Mapping):
            self.problems.report(path, "invalid_filter", f"expected an object, not {type(filters).__name__}")
            return ()
        children: list[Shape] = []
        for name, value in filters.items():
            if self.problems.is_full:
                break
            if not isinstance(name, str):
                self.problems.report(path, "invalid_name", f"names are text, not {type(name).__name__}")
            elif name in ("and", "or"):
                children.append(self._group(name, value, (*path, name), depth))
            elif name == "not":
                children.append(self._negation(value, (*path, name), depth))
            else:
                children.extend(self._conditions_on(name, value, (*path, name)))
        return children[0] if len(children) == 1 else ("and", *children)

    def _group(self, name: str, value: Any, path: Path, depth: int) -> Shape:
        if not isinstance(value, list | tuple) or not value:
            self.problems.report(path, "invalid_group", f"{name!r} takes a list of at least one object")
            return ()
        if len(value) > self._caps.max_conditions:
            self._too_many(path)
            return ()
        members = []
        for position, member in enumerate(value):
            if self.problems.is_full:
                break
            members.append(self._member(member, (*path, position), depth))
        return (name, *members)

    def _negation(self, value: Any, path: Path, depth: int) -> Shape:
        if not isinstance(value, Mapping):
            self.problems.report(path, "invalid_group", "'not' takes one object")
            return ()
        return ("not", self._member(value, path, depth))

    def _member(self, member: Any, path: Path, depth: int) -> Shape:
        if isinstance(member, Mapping) and not member:
            self.problems.report(path, "empty", "an empty object has no meaning here")
            return ()
        return self._object(member, path, depth + 1)

    def _conditions_on(self, name: str, value: Any, path: Path) -> list[Shape]:
        field = self._fields.get(name)
        if field is None:
            self.problems.report(path, "unknown_field", unknown_field(name))
            return []
        if not isinstance(value, Mapping):
            if isinstance(value, list | tuple | set | frozenset):
                self.problems.report(path, "bare_list", "a list needs an operator: {'in': [...]}")
                return []
            return self._condition(field, "eq", value, path)
        if not value:
            self.problems.report(path, "empty", "an empty object of operators has no meaning")
            return []
        shapes: list[Shape] = []
        for operator, operand in value.items():
            if self.problems.is_full:
                break
            shown = operator if isinstance(operator, str) else type(operator).__name__
            shapes.extend(self._condition(field, operator, operand, (*path, shown)))
        return shapes

    def _condition(self, field: ResolvedField, operator: Any, operand: Any, path: Path) -> list[Shape]:
        self._conditions += 1
        if self._conditions > self._caps.max_conditions:
            self._too_many(path)
            return []
        if not isinstance(operator, str) or operator not in field.operators:
            # A null is a value of eq and ne only, whatever the column can be asked for otherwise.
            if operator == "eq" and operand is None and "is_null" in field.operators:
                return [self._leaf(field, "is_null", True)]
            allowed = ", ".join(sorted(field.operators))
            message = f"unknown operator {echo(operator)} for this field; there are {allowed}"
            self.problems.report(path, "unknown_operator", message)
            return []
        if operator == "between":
            return self._between(field, operand, path)
        value = self._operand(field, operator, operand, path)
        if value is _NOTHING:
            return []
        if value is None:
            return [self._leaf(field, "is_null", operator == "eq")]
        if field.places is not None and operator != "is_null":
            operator, value = exact_decimal(operator, value, field.places)
        return [self._leaf(field, operator, value)]

    def _between(self, field: ResolvedField, operand: Any, path: Path) -> list[Shape]:
        if not isinstance(operand, list | tuple) or len(operand) != 2:
            self.problems.report(path, "invalid_range", "'between' takes a list of two values")
            return []
        shapes: list[Shape] = []
        for position, operator in enumerate(("gte", "lte")):
            value = self._value(field, operand[position], (*path, position))
            if value is _NOTHING:
                continue
            if field.places is not None:
                operator, value = exact_decimal(operator, value, field.places)
            shapes.append(self._leaf(field, operator, value))
        return shapes

    def _leaf(self, field: ResolvedField, operator: str, value: Any) -> Shape:
        self.values.append(value)
        return ("is", field.name, operator)

    def _operand(self, field: ResolvedField, operator: str, operand: Any, path: Path) -> Any:
        """The coerced operand, ``None`` for a permitted null, ``_NOTHING`` when it was refused."""
        if operator == "is_null":
            if isinstance(operand, bool):
                return operand
            self.problems.report(path, "invalid_boolean", "'is_null' takes true or false")
            return _NOTHING
        if operand is None:
            if operator in ("eq", "ne"):
                return None
            self.problems.report(path, "invalid_null", f"{operator!r} takes no null; use is_null")
            return _NOTHING
        if operator in ("in", "not_in"):
            return self._list(field, operand, path)
        value = self._value(field, operand, path)
        if value is not _NOTHING and operator in TEXT and not self._is_fit_pattern(operator, value, path):
            return _NOTHING
        return value

    def _list(self, field: ResolvedField, operand: Any, path: Path) -> Any:
        if not isinstance(operand, list | tuple | set | frozenset):
            self.problems.report(path, "invalid_list", f"expected a list, not {type(operand).__name__}")
            return _NOTHING
        if len(operand) > self._caps.max_list:
            self.problems.report(path, "too_long", f"lists have at most {self._caps.max_list} items")
            return _NOTHING
        values = []
        for position, item in enumerate(operand):
            if self.problems.is_full:
                return _NOTHING
            if item is None:
                self.problems.report((*path, position), "invalid_null", "null is equal to nothing; use is_null")
                continue
            values.append(self._value(field, item, (*path, position)))
        return _NOTHING if any(value is _NOTHING for value in values) else values

    def _value(self, field: ResolvedField, value: Any, path: Path) -> Any:
        if hasattr(value, "resolve_expression") or hasattr(value, "as_sql") or hasattr(value, "_meta"):
            self.problems.report(path, "invalid_value", "expressions and model instances are no values")
            return _NOTHING
        if isinstance(value, str) and len(value) > self._caps.max_text:
            self.problems.report(path, "too_long", f"text has at most {self._caps.max_text} characters")
            return _NOTHING
        if value is None:
            self.problems.report(path, "invalid_null", "null cannot be compared; use is_null")
            return _NOTHING
        assert field.coerce is not None  # an opaque column has no operator that comes here
        try:
            return field.coerce(value)
        except Refused as refusal:
            self.problems.report(path, refusal.code, refusal.message)
            return _NOTHING

    def _is_fit_pattern(self, operator: str, value: str, path: Path) -> bool:
        if len(value) > self._caps.max_pattern:
            self.problems.report(path, "too_long", f"patterns have at most {self._caps.max_pattern} characters")
            return False
        if operator not in PATTERNS:
            return True
        try:
            tokens = parse_pattern(value)
        except PatternError as error:
            self.problems.report(path, "invalid_pattern", str(error))
            return False
        if wildcards(tokens) > self._caps.max_wildcards:
            message = f"patterns have at most {self._caps.max_wildcards} times %"
            self.problems.report(path, "too_many_wildcards", message)
            return False
        return True

    def _too_many(self, path: Path) -> None:
        message = f"filters have at most {self._caps.max_conditions} conditions"
        if not any(problem.code == "too_many_conditions" for problem in self.problems):
            self.problems.report(path, "too_many_conditions", message)
