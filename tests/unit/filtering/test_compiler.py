"""The filter compiler on whatever may come: it answers a filter or one InvalidFilter, and nothing else."""

from __future__ import annotations

import datetime
from decimal import Decimal
from uuid import UUID

import pytest
from django.db.models import Q
from hypothesis import given
from hypothesis import strategies as st

from django_enterprise_repo import FilterField, FilterPolicy
from django_enterprise_repo.exceptions import InvalidFilter, InvalidOrdering
from django_enterprise_repo.filtering import compile_filter, compile_ordering
from django_enterprise_repo.filtering.operators import KNOWN
from testproject.shop.models import Product

POLICY = Product.objects.filters
NAMES = [field.name for field in POLICY.declared()]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.binary(max_size=4),
    st.decimals(),
    st.datetimes(),
    st.dates(),
    st.uuids(),
    st.just(Q(pk=1)),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
keys = st.one_of(
    st.sampled_from([*NAMES, "and", "or", "not", "category__owner", "pk", "-price"]),
    st.text(max_size=10),
    st.integers(),
)
operators = st.sampled_from(sorted(KNOWN)) | st.text(max_size=10)
anything = st.recursive(
    values,
    lambda inner: (
        st.dictionaries(keys, inner | st.dictionaries(operators, values, max_size=3), max_size=4)
        | st.lists(inner, max_size=4)
    ),
    max_leaves=20,
)


def refusal(error, read, *arguments):
    """What ``read`` answers, or the problems of the one error it may raise."""
    try:
        return read(*arguments), ()
    except error as refused:
        return None, refused.problems


@given(anything)
def test_whatever_comes_is_compiled_or_refused(filters):
    compiled, problems = refusal(InvalidFilter, compile_filter, Product, POLICY, filters)

    if compiled is None:
        assert 1 <= len(problems) <= 20
        assert all(problem.code and problem.message for problem in problems)
    else:
        hash(compiled.shape)
        str(Product.objects.filter(compiled.q()).query)


#: Conditions and how to draw another value for each.
conditions = {
    ("stock", "gt"): st.integers(-100, 100),
    ("stock", "ne"): st.integers(-100, 100),
    ("name", "eq"): st.text("abcä ", max_size=5),
    ("name", "ilike"): st.text("abc%_", max_size=5),
    ("stock", "in"): st.lists(st.integers(0, 9), max_size=3),
    ("released_on", "between"): st.lists(st.dates().map(str), min_size=2, max_size=2),
}


@given(st.lists(st.sampled_from(sorted(conditions)), min_size=1, max_size=5), st.data())
def test_the_shape_does_not_depend_on_the_values(chosen, data):
    def drawn():
        return {"or": [{name: {operator: data.draw(conditions[name, operator])}} for name, operator in chosen]}

    first, second = (compile_filter(Product, POLICY, drawn()) for _ in range(2))

    assert first.shape == second.shape
    assert len(first.values) == len(second.values)


@given(st.lists(st.sampled_from(["stock", "name:desc", "price:asc:nulls_last"]) | st.text(max_size=15), max_size=4))
def test_whatever_order_comes_is_total_or_refused(terms):
    ordering, problems = refusal(InvalidOrdering, compile_ordering, Product, POLICY, terms)

    assert problems or ordering.expressions()[-1] == "pk"


def test_every_problem_is_told_with_its_path():
    with pytest.raises(InvalidFilter) as caught:
        compile_filter(
            Product,
            POLICY,
            {"or": [{"stock": {"gt": "many"}}, {"secret": 1}], "name": ["a"], "not": [], "price": {"near": 3}},
        )

    assert [(problem.path, problem.code) for problem in caught.value.problems] == [
        (("or", 0, "stock", "gt"), "invalid_integer"),
        (("or", 1, "secret"), "unknown_field"),
        (("name",), "bare_list"),
        (("not",), "invalid_group"),
        (("price", "near"), "unknown_operator"),
    ]


def test_messages_never_repeat_values():
    secret = "hunter2" * 3

    with pytest.raises(InvalidFilter) as caught:
        compile_filter(Product, POLICY, {"stock": secret, "released_on": secret, "uuid": secret, "is_active": secret})

    assert secret not in str(caught.value)
    assert len(caught.value.problems) == 4


def test_python_values_pass():
    compiled = compile_filter(
        Product,
        POLICY,
        {
            "price": Decimal("1.50"),
            "released_on": datetime.date(2026, 1, 1),
            "created_at": {"lt": datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)},
            "uuid": UUID(int=1),
        },
    )

    assert len(compiled.values) == 4


def test_without_a_policy_the_models_own_columns_are_open_and_passwords_are_not():
    from django.contrib.auth import get_user_model

    user = get_user_model()
    policy = FilterPolicy(sensitive=("email",))

    assert compile_filter(user, policy, {"username": "ada", "id": 1}).values == ("ada", 1)
    for closed in ("password", "email", "groups", "logentry__id"):
        with pytest.raises(InvalidFilter):
            compile_filter(user, policy, {closed: "x"})


def test_a_field_may_be_open_to_some_operators_only():
    policy = FilterPolicy(fields=(FilterField("name", operators=("eq", "regex")),))

    assert compile_filter(Product, policy, {"name": {"regex": "^a"}}).values == ("^a",)
    with pytest.raises(InvalidFilter, match="eq, regex"):
        compile_filter(Product, policy, {"name": {"contains": "a"}})
    with pytest.raises(InvalidFilter):
        compile_filter(Product, POLICY, {"name": {"regex": "^a"}})


def test_a_decimal_bound_between_two_values_of_the_column_moves_to_the_lower():
    compiled = compile_filter(Product, POLICY, {"price": {"lt": "10.001", "gt": "10.001", "eq": "10.001"}})

    assert compiled.shape == ("and", ("is", "price", "lte"), ("is", "price", "gt"), ("is", "price", "in"))
    assert compiled.values == (Decimal("10.00"), Decimal("10.00"), [])


def test_copies_of_a_policy_do_not_pile_up():
    from django_enterprise_repo.filtering import fields

    for number in range(3 * fields._MOST_POLICIES):
        assert compile_filter(Product, FilterPolicy(max_text=number + 1), {"stock": 1}).values == (1,)

    assert len(fields._resolved[Product]) <= fields._MOST_POLICIES
