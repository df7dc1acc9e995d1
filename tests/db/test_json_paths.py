"""Declared paths into JSON: every stored value against every operator, next to what plain Python says."""

from __future__ import annotations

import datetime
import operator
import re
from decimal import Decimal
from uuid import UUID

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, models
from django.test.utils import isolate_apps

from django_enterprise_repo import FilterField, FilterPolicy
from django_enterprise_repo.filtering import compile_filter
from testproject.shop.models import AuditLog, Category, Product

pytestmark = pytest.mark.django_db

ABSENT = object()
STORED = [
    *(ABSENT, None, "null", "1", 1, 1.0, 1.5, True, "true", [], {}),
    *(0, 0.0, -1, -1.5, 2, 2**53, 2**53 + 1, 2**63 - 1, -(2**63), 1e-07, 1e16, 2.5e30, -1e300),
    *(False, "false", "", "red", "Red", "red ", "é😀", 'a "quote"\\', "two\nlines", "1.5", "[]", "{}"),
    *([1], ["red"], {"value": 1}, {"0": 1}),
]
#: Documents in which the path leads nowhere.
OTHERS = [5, "value", ["value"], {"other": 1}, {"VALUE": 1}, {"value ": 1}]
DOCUMENTS = [*({} if value is ABSENT else {"value": value} for value in STORED), *OTHERS]

TYPES = [str, int, float, Decimal, bool]
TEXTS = ["null", "1", "true", "red", "RED", "", "é😀", 'a "quote"\\', "[]"]
WHOLE = [0, 1, 1.0, -1, 2**53 + 1, 2**63 - 1, -(2**63)]
OPERANDS = {
    str: TEXTS,
    int: WHOLE,
    float: [*WHOLE, 1.5, -1.5, 0.5, 1e-07, 1e16, 2.5e30, -1e300],
    Decimal: [*map(Decimal, WHOLE), Decimal("1.50"), Decimal("1E-7"), Decimal("1E+16"), Decimal("2.5E+30"), 0.5],
    bool: [True, False],
}
PATTERNS = ["%", "", "_", "%l%", "nul_", "R%", "r__", "1%", "%\n%", "é_", "%😀", "[%", "t%"]
NEGATIONS = {"ne": "eq", "not_in": "in", "not_like": "like", "not_ilike": "ilike"}
ORDER = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}
LITERAL = {"contains": "%{}%", "starts_with": "{}%", "ends_with": "%{}"}
PATTERNS_OF = {"like": "{}", "ilike": "{}", **LITERAL, **{f"i{name}": pattern for name, pattern in LITERAL.items()}}

POLICY = FilterPolicy(
    fields=(
        *(FilterField(kind.__name__, path="metadata__value", type=kind) for kind in TYPES),
        FilterField("matched", path="metadata__value", type=str, operators=("regex",)),
    )
)


def like(pattern, text):
    signs = [{"%": ".*", "_": "."}.get(sign, re.escape(sign)) for sign in pattern]
    return re.fullmatch("".join(signs), text, re.DOTALL) is not None


def holds(kind, name, operand, stored):
    """Whether a condition is true of what is stored."""
    if name in NEGATIONS:
        return not holds(kind, NEGATIONS[name], operand, stored)
    if name == "is_null":
        return (stored is None or stored is ABSENT) is operand
    if not (type(stored) is kind if kind in (str, bool) else type(stored) in (int, float)):
        return False
    if name == "in":
        return any(holds(kind, "eq", item, stored) for item in operand)
    if name == "between":
        return holds(kind, "gte", operand[0], stored) and holds(kind, "lte", operand[1], stored)
    if name == "regex":
        return re.search(operand, stored) is not None
    if name in PATTERNS_OF:
        pattern = PATTERNS_OF[name].format(operand)
        return like(pattern.lower(), stored.lower()) if name.startswith("i") else like(pattern, stored)
    if isinstance(operand, Decimal):
        operand = int(operand) if operand == int(operand) and abs(operand) < 2**63 else float(operand)
    return (operator.eq if name == "eq" else ORDER[name])(stored, operand)


def conditions():
    """Each declared name with its type, and every operator with the operands to try."""
    for kind in TYPES:
        operands = OPERANDS[kind]
        for name in ("eq", "ne"):
            yield kind.__name__, kind, name, operands
        for name in ("in", "not_in"):
            yield kind.__name__, kind, name, [[], operands[:1], operands[:3], operands]
        yield kind.__name__, kind, "is_null", [True, False]
        if kind in (int, float, Decimal):
            for name in ORDER:
                yield kind.__name__, kind, name, operands
            yield kind.__name__, kind, "between", [[low, high] for low in operands for high in operands]
    for name in ("like", "ilike", "not_like", "not_ilike"):
        yield "str", str, name, PATTERNS
    for name in LITERAL:
        yield "str", str, name, TEXTS
        yield "str", str, f"i{name}", TEXTS
    yield "matched", str, "regex", ["^r.d", "null", "", "^[0-9]$", "é"]


@pytest.fixture
def category(db):
    owner = get_user_model().objects.create(username="owner")
    return Category.objects.create(name="Documents", owner=owner)


def store(category, documents):
    """One product for each document, its position being the stock."""
    return Product.objects.bulk_create(
        Product(
            name="document",
            sku=f"D{position}",
            category=category,
            price=1,
            stock=position,
            metadata=document,
            created_at=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
            uuid=UUID(int=position),
        )
        for position, document in enumerate(documents)
    )


def found(policy, filters):
    rows = Product.objects.filter(compile_filter(Product, policy, filters).q())
    return shown(DOCUMENTS[position] for position in rows.order_by("stock").values_list("stock", flat=True))


def shown(documents):
    """So that 1, 1.0 and true are three different things."""
    return [repr(document) for document in documents]


def stored_in(document):
    return document.get("value", ABSENT) if isinstance(document, dict) else ABSENT


@pytest.mark.parametrize(
    ("field", "kind", "name", "operands"),
    [pytest.param(*condition, id=f"{condition[0]}-{condition[2]}") for condition in conditions()],
)
def test_a_condition_holds_where_plain_python_says_so_and_its_negation_elsewhere(category, field, kind, name, operands):
    store(category, DOCUMENTS)

    for operand in operands:
        expected = shown(document for document in DOCUMENTS if holds(kind, name, operand, stored_in(document)))
        others = shown(document for document in DOCUMENTS if not holds(kind, name, operand, stored_in(document)))
        assert found(POLICY, {field: {name: operand}}) == expected, operand
        assert found(POLICY, {"not": {field: {name: operand}}}) == others, operand


@pytest.mark.parametrize("key", ["range", "in", "contains", "isnull", "exact", "has_key", "year", "regex", "repo_like"])
@pytest.mark.parametrize("steps", ["{}", "{}__size", "size__{}", "{0}__{0}"])
def test_a_key_may_be_named_like_a_lookup(category, key, steps):
    path = steps.format(key)
    document = 7
    for step in reversed(path.split("__")):
        document = {step: document}
    store(category, [document, {}, {key: None}])
    policy = FilterPolicy(fields=(FilterField("size", path=f"metadata__{path}", type=int),))

    def stocks(condition):
        rows = Product.objects.filter(compile_filter(Product, policy, {"size": condition}).q())
        return sorted(rows.values_list("stock", flat=True))

    assert stocks(7) == stocks({"between": [7, 8]}) == stocks({"in": [7]}) == stocks({"is_null": False}) == [0]
    assert stocks({"ne": 7}) == stocks(None) == [1, 2]


POSITIONS = [
    {"v": [1]},
    [[1]],
    {"v": [[1]]},
    {"v": {"0": 1}},
    {"0": {"0": 1}},
    {"v": 1},
    1,
    {"v": []},
    {"v": [None, 1]},
]


@pytest.mark.parametrize(
    ("path", "ones", "present"),
    [
        ("v__0", [0], [0, 2]),
        ("0__0", [1], [1]),
        ("v__0__0", [2], [2]),
        ("v__1", [8], [8]),
        ("0", [], [1]),
    ],
)
def test_digits_are_a_position_in_an_array_and_nothing_else(category, path, ones, present):
    store(category, POSITIONS)
    policy = FilterPolicy(fields=(FilterField("item", path=f"metadata__{path}", type=int),))

    def stocks(filters):
        rows = Product.objects.filter(compile_filter(Product, policy, filters).q())
        return sorted(rows.values_list("stock", flat=True))

    others = [position for position in range(len(POSITIONS)) if position not in ones]
    assert stocks({"item": 1}) == ones
    assert stocks({"item": {"ne": 1}}) == stocks({"not": {"item": {"gt": 0}}}) == others
    assert stocks({"item": {"is_null": False}}) == present
    assert stocks({"item": None}) == [position for position in range(len(POSITIONS)) if position not in present]


def test_a_path_may_go_over_relations_and_stand_in_any_logic(category):
    red, blue, none = store(category, [{"color": "red"}, {"color": "blue"}, {}])
    for product in (red, blue, none):
        AuditLog.objects.create(product=product, secret=str(product.stock))
    policy = FilterPolicy(
        fields=("secret", FilterField("color", path="product__metadata__color", type=str)),
    )

    def secrets(filters):
        rows = AuditLog.objects.filter(compile_filter(AuditLog, policy, filters).q())
        return sorted(rows.values_list("secret", flat=True))

    assert secrets({"color": "red"}) == ["0"]
    assert secrets({"or": [{"color": "red"}, {"secret": "2"}]}) == ["0", "2"]
    assert secrets({"or": [{"color": {"ne": "red"}}, {"secret": "0"}]}) == ["0", "1", "2"]
    assert secrets({"not": {"color": "red", "secret": "0"}}) == ["1", "2"]


def test_a_set_write_meets_the_same_rows(category):
    store(category, DOCUMENTS)
    expected = [document for document in DOCUMENTS if holds(int, "gt", 0, stored_in(document))]

    rows = Product.objects.filter(compile_filter(Product, POLICY, {"int": {"gt": 0}}).q())

    assert rows.update(name="large") == len(expected)
    assert rows.delete()[0] == len(expected)


@pytest.mark.django_db(transaction=True)
@isolate_apps("tests.testapp")
def test_a_column_or_a_relation_that_is_null_is_as_a_missing_key():
    class Shelf(models.Model):
        document = models.JSONField(null=True)
        above = models.ForeignKey("self", models.CASCADE, null=True)

        class Meta:
            app_label = "testapp"

    policy = FilterPolicy(
        fields=(
            FilterField("own", path="document__size", type=int),
            FilterField("above", path="above__document__size", type=int),
        )
    )

    def shelves(filters):
        return sorted(Shelf.objects.filter(compile_filter(Shelf, policy, filters).q()).values_list("pk", flat=True))

    with connection.schema_editor() as editor:
        editor.create_model(Shelf)
    try:
        first = Shelf.objects.create(document={"size": 7})
        second = Shelf.objects.create(document=None, above=first)
        third = Shelf.objects.create(document=None, above=second)

        assert shelves({"own": 7}) == [first.pk]
        assert shelves({"own": {"ne": 7}}) == shelves({"own": None}) == [second.pk, third.pk]
        assert shelves({"above": 7}) == shelves({"above": {"is_null": False}}) == [second.pk]
        assert shelves({"above": {"ne": 7}}) == shelves({"not": {"above": {"gt": 1}}}) == [first.pk, third.pk]
        assert shelves({"or": [{"above": {"lt": 9}}, {"own": {"gt": 5}}]}) == [first.pk, second.pk]
    finally:
        with connection.schema_editor() as editor:
            editor.delete_model(Shelf)
