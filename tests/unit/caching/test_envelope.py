"""Only what this project sealed for this key is opened."""

from __future__ import annotations

import pickle

import pytest
from django.test import override_settings
from hypothesis import example, given
from hypothesis import strategies as st

from django_enterprise_repo.caching.codec import Undecodable
from django_enterprise_repo.caching.envelope import seal, unseal
from tests.unit.caching.bombs import Bomb

KEY = "repository:item:42"
GENERATION = b"generation"
BODY = b"the body of a row"
SEALED = seal(KEY, GENERATION, BODY)


@given(st.text(), st.binary(max_size=255), st.binary())
def test_what_was_sealed_is_opened(key, generation, body):
    sealed = seal(key, generation, body)

    assert unseal(key, sealed) == (generation, body)
    assert not sealed[:1].isdigit(), "backends for Redis take digits for a number"


def test_a_generation_has_an_end():
    with pytest.raises(ValueError, match="256"):
        seal(KEY, b"g" * 256, BODY)


@given(st.integers(0, len(SEALED) - 1), st.integers(1, 255))
def test_a_changed_byte_is_found_wherever_it_is(position, difference):
    changed = bytearray(SEALED)
    changed[position] ^= difference

    with pytest.raises(Undecodable):
        unseal(KEY, bytes(changed))


def test_a_part_of_it_or_more_is_not_opened():
    for value in (*(SEALED[:end] for end in range(len(SEALED))), SEALED + b"\0", SEALED * 2):
        with pytest.raises(Undecodable):
            unseal(KEY, value)


@given(st.one_of(st.none(), st.integers(), st.text(), st.binary(), st.binary().map(lambda found: SEALED[:2] + found)))
def test_anything_else_is_not_opened(value):
    with pytest.raises(Undecodable):
        unseal(KEY, value)


@pytest.mark.parametrize("kind", [bytearray, memoryview, list, bytes.hex])
def test_the_same_bytes_in_another_type_are_not_opened(kind):
    with pytest.raises(Undecodable):
        unseal(KEY, kind(SEALED))


def test_a_value_counts_under_its_own_key_alone():
    for key in ("repository:item:43", "", KEY + "\xff", KEY[:-1]):
        with pytest.raises(Undecodable):
            unseal(key, SEALED)


@given(st.text(), st.text(), st.binary(max_size=255), st.binary(max_size=255), st.binary(), st.binary())
@example("k", "kb", b"\0" + b"g" * 97, b"", b"", b"g" * 97)  # the length 98 is a b
@example("k", "k", b"ab", b"a", b"", b"b")
def test_nothing_that_belongs_to_one_part_passes_for_another(key, other_key, generation, other, body, other_body):
    one, two = (key, generation, body), (other_key, other, other_body)

    assert (seal(*one)[2:18] == seal(*two)[2:18]) == (one == two)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_not_opened(protocol):
    bomb = pickle.dumps(Bomb(), protocol)

    for value in (bomb, SEALED[:19] + bomb):
        with pytest.raises(Undecodable):
            unseal(KEY, value)
    assert Bomb.defuse() == 0
    assert unseal(KEY, seal(KEY, GENERATION, bomb)) == (GENERATION, bomb)
    assert Bomb.defuse() == 0, "a body is bytes, whatever is in it"
    pickle.loads(bomb)
    assert Bomb.defuse() == 1, "it would have gone off"


def test_another_secret_opens_nothing():
    with override_settings(SECRET_KEY="another"), pytest.raises(Undecodable):
        unseal(KEY, SEALED)
    assert unseal(KEY, SEALED) == (GENERATION, BODY)


def test_a_rotated_secret_opens_what_the_old_one_sealed_and_seals_with_the_new():
    with override_settings(SECRET_KEY="old"):
        old = seal(KEY, GENERATION, BODY)
    with override_settings(SECRET_KEY="new", SECRET_KEY_FALLBACKS=["older", b"old"]):
        assert unseal(KEY, old) == (GENERATION, BODY)
        new = seal(KEY, GENERATION, BODY)
        with override_settings(SECRET_KEY_FALLBACKS=[]):
            assert unseal(KEY, new) == (GENERATION, BODY)
            with pytest.raises(Undecodable):
                unseal(KEY, old)
    with override_settings(SECRET_KEY="old"), pytest.raises(Undecodable):
        unseal(KEY, new)


def test_errors_tell_nothing_of_value_or_key():
    with pytest.raises(Undecodable) as caught:
        unseal(KEY, SEALED[:-1])

    assert str(caught.value) == "A value that was not sealed for this key."
