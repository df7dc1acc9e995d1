"""What the exhaustive check finds: ours holds as far as it is said to, and the check sees what is wrong with others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.caching.protocol_model import CLAIMS, CRASH, FAULTS, LOSS, NONE, Faults, Verdict, check, markdown
from tests.unit.caching.protocols import BROKEN, OURS, Protocol

pytestmark = pytest.mark.exhaustive

#: The claims that break without faults, when a writer dies, when the cache loses keys, and when both happen.
OUR_VERDICT = ("", "", "P3", "P2 P3")
VERDICTS = {
    "delete after COMMIT": ("P1 P2 P3", "P1 P2 P3", "P1 P2 P3", "P1 P2 P3"),
    "delete before and after": ("P1 P2 P3", "P1 P2 P3", "P1 P2 P3", "P1 P2 P3"),
    "write through": ("P1 P2 P3", "P1 P2 P3", "P1 P2 P3", "P1 P2 P3"),
    "new generation after COMMIT": ("P3", "P2 P3", "P3", "P2 P3"),
    "counted generation after COMMIT": ("P3", "P2 P3", "P1 P2 P3", "P1 P2 P3"),
    "lock before, not again after": ("", "", "P1 P2 P3", "P1 P2 P3"),
    "lock after, not before": ("P3", "P2 P3", "P3", "P2 P3"),
    "unlock after COMMIT": ("P3", "P2 P3", "P3", "P2 P3"),
    "lock shorter than until COMMIT": ("P3", "P2 P3", "P3", "P2 P3"),
    "lock, but a counted generation": ("P1 P2 P3", "P1 P2 P3", "P1 P2 P3", "P1 P2 P3"),
    "tag read after the database": ("P1 P2 P3", "P1 P2 P3", "P1 P2 P3", "P1 P2 P3"),
    "fill from an old snapshot": ("P1 P2 P3", "P1 P2 P3", "P1 P2 P3", "P1 P2 P3"),
}


def _broken(verdict: Verdict) -> str:
    return " ".join(sorted(verdict.broken))


@pytest.mark.parametrize("faults", FAULTS, ids=lambda faults: faults.name)
@pytest.mark.parametrize("protocol", OURS, ids=lambda protocol: protocol.name)
def test_what_our_protocol_keeps(protocol: Protocol, faults: Faults):
    assert _broken(check(protocol, faults)) == OUR_VERDICT[FAULTS.index(faults)]


@pytest.mark.parametrize("faults", FAULTS, ids=lambda faults: faults.name)
@pytest.mark.parametrize("protocol", BROKEN, ids=lambda protocol: protocol.name)
def test_what_the_others_break(protocol: Protocol, faults: Faults):
    assert _broken(check(protocol, faults)) == VERDICTS[protocol.name][FAULTS.index(faults)]


def test_each_of_the_others_breaks_what_ours_keeps():
    assert {protocol.name for protocol in BROKEN} == VERDICTS.keys()
    for broken in VERDICTS.values():
        assert any({*others.split()} - {*ours.split()} for others, ours in zip(broken, OUR_VERDICT, strict=True))


def test_a_second_get_of_each_reader_finds_nothing_else():
    assert _broken(check(OURS[1], CRASH, gets=2)) == ""


@pytest.mark.parametrize(
    "name",
    ["lock before the statement", "one reader gets key by key", "unlock after COMMIT", "tag read after the database"],
)
def test_merging_states_changes_no_verdict(name: str):
    protocol = next(protocol for protocol in (*OURS, *BROKEN) if protocol.name == name)

    merged, exact = check(protocol, NONE), check(protocol, NONE, merging=False)

    assert merged.broken.keys() == exact.broken.keys()
    assert merged.states < exact.states / 3


@pytest.mark.parametrize("protocol", OURS[1:4], ids=lambda protocol: protocol.name)
def test_merging_states_changes_no_verdict_when_keys_are_lost(protocol: Protocol):
    """With one writer, where every single state can be visited."""
    small = replace(protocol, writers=protocol.writers[:1])

    assert check(small, LOSS).broken.keys() == check(small, LOSS, merging=False).broken.keys()


def test_the_way_into_a_broken_claim_is_told():
    verdict = check(next(protocol for protocol in BROKEN if protocol.name == "lock after, not before"), NONE)

    assert verdict.broken["P3"] == ("writer 0: update", "writer 0: commit", "reader 0: look: 0")


def test_the_table_has_a_row_for_each_protocol_and_explains_the_claims():
    verdicts = {(protocol, faults): Verdict() for protocol in (*OURS, *BROKEN) for faults in FAULTS}
    verdicts[BROKEN[0], NONE] = Verdict({"P3": (), "P1": ()})

    lines = markdown(verdicts).splitlines()

    assert "| delete after COMMIT | P1 P3 broken | holds | holds | holds |" in lines
    assert len([line for line in lines if line.startswith("|")]) == 2 + 2 + len(OURS) + len(BROKEN)
    assert lines[-3:] == [f"- {name}: {text}." for name, text in CLAIMS.items()]
