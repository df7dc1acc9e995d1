"""The pattern language, against a second and simpler matcher."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_enterprise_repo.filtering.patterns import (
    PatternError,
    Wildcard,
    as_glob,
    as_like,
    escape,
    fold,
    matches,
    parse_pattern,
)

texts = st.text("ab%_\\*?[]\nä", max_size=12)


def patterns():
    return st.lists(st.sampled_from(["a", "b", "%", "_", "\\%", "\\_", "\\\\", "ä", "*", "["]), max_size=8).map("".join)


def as_regex(pattern):
    parts = {Wildcard.ANY: "(?s:.*)", Wildcard.ONE: "(?s:.)"}
    return re.compile("".join(parts[t] if isinstance(t, Wildcard) else re.escape(t) for t in parse_pattern(pattern)))


@given(patterns(), texts)
def test_matching_agrees_with_regular_expressions(pattern, text):
    assert matches(parse_pattern(pattern), text) == bool(as_regex(pattern).fullmatch(text))


@given(texts, texts)
def test_an_escaped_text_matches_itself_alone(text, other):
    assert matches(parse_pattern(escape(text)), other) == (text == other)


@pytest.mark.parametrize("pattern", ["\\", "a\\", "\\a", "\\\\\\"])
def test_a_stray_backslash_is_refused(pattern):
    with pytest.raises(PatternError):
        parse_pattern(pattern)


def test_renderings():
    tokens = parse_pattern("a*%_\\%!")

    assert as_like(tokens, "!") == "a*%_!%!!"
    assert as_glob(tokens) == "a[*]*?%!"


def test_runs_of_percent_count_as_one():
    assert parse_pattern("a%%%%b") == ("a", Wildcard.ANY, "b")


def test_time_does_not_explode():
    tokens = parse_pattern("%a" * 10 + "%b")

    assert not matches(tokens, "a" * 5000)


@given(st.text(max_size=20))
def test_folding_keeps_the_length(text):
    assert len(fold(text)) == len(text)


def test_folding_has_no_context():
    assert fold("ΟΔΟΣ") == "οδοσ"
    assert fold("İ") == "i"
