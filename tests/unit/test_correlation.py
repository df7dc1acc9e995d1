"""Which ids of a caller are taken, and which are replaced by one of our own."""

from __future__ import annotations

import re

import pytest

from django_enterprise_repo.correlation import MAX_LENGTH, new_correlation_id, received_correlation_id

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    "request_id",
    ["a", "7", "req-7", "a" * MAX_LENGTH, "Root=1-67891233-abcdef012345678912345678", "ab/cd+ef==", "k8s~1.2_3:4@x"],
)
def test_a_well_formed_request_id_is_taken_as_it_is(request_id):
    assert received_correlation_id(request_id, PARENT) == request_id


HOSTILE = {
    "nothing": None,
    "empty": "",
    "too long": "a" * (MAX_LENGTH + 1),
    "endless": "a" * 1_000_000,
    "space": "a b",
    "space around": " a ",
    "newline": "a\nb",
    "newline at the end": "a\n",
    "header injection": "a\r\nSet-Cookie: b",
    "tab": "a\tb",
    "NUL": "a\x00b",
    "escape": "a\x1b[31m",
    "accent": "é",
    "other digits": "٣",
    "lone surrogate": "\ud800",
    "quotes": "a'b",
    "markup": "<b>",
    "list": "a,b",
    "template": "${jndi:x}",
    "percent": "%0a",
    "begins like an option": "-a",
    "begins like a path": "../a",
}


@pytest.mark.parametrize("request_id", HOSTILE.values(), ids=HOSTILE)
def test_a_malformed_request_id_is_not_taken(request_id):
    assert received_correlation_id(request_id, None) is None
    assert received_correlation_id(request_id, PARENT) == TRACE


@pytest.mark.parametrize(
    "traceparent",
    [PARENT, PARENT[:-2] + "00", f"cc{PARENT[2:]}", f"cc{PARENT[2:]}-what-the-future-will-be-like", f"01{PARENT[2:]}-"],
)
def test_the_trace_id_of_a_traceparent_is_taken(traceparent):
    assert received_correlation_id(None, traceparent) == TRACE


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        TRACE,
        f"ff{PARENT[2:]}",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"{PARENT}-more-than-version-00-has",
        f"{PARENT}-",
        f"cc{PARENT[2:]}.extra",
        f"cc{PARENT[2:]}-{'x' * 201}",
        PARENT.upper(),
        PARENT.replace("4bf9", "٤bf9"),
        PARENT.replace("-", "_"),
        PARENT[:-1],
        f" {PARENT}",
        f"{PARENT}\n",
        f"{PARENT}, {PARENT}",
        f"00-{TRACE[:-1]}-00f067aa0ba902b7-01",
        f"00-{TRACE}0-00f067aa0ba902b7-01",
    ],
)
def test_a_malformed_traceparent_is_not_taken(traceparent):
    assert received_correlation_id(None, traceparent) is None


def test_a_new_id_is_well_formed_and_like_no_other():
    ids = {new_correlation_id() for _ in range(1000)}

    assert len(ids) == 1000
    assert all(re.fullmatch("[0-9a-f]{32}", made) and received_correlation_id(made, None) == made for made in ids)
