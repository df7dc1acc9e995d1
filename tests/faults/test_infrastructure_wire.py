"""Messages are found whole, however the bytes arrive."""

from __future__ import annotations

import struct
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.faults.wire import MySQLWire, PostgresWire

STARTUP = struct.pack(">II", 8, 196608)
SSL_REQUEST = struct.pack(">II", 8, 80877103)


def pg(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack(">I", len(body) + 4) + body


def my(number: int, payload: bytes) -> bytes:
    return struct.pack("<I", len(payload))[:3] + bytes([number]) + payload


READY = pg(b"Z", b"I")
PARSE_COMMIT = pg(b"P", b"s1\0COMMIT\0\0\0")
BIND, EXECUTE, SYNC = pg(b"B", b"p1\0s1\0" + b"\0" * 6), pg(b"E", b"p1\0\0\0\0\0"), pg(b"S")


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


@settings(deadline=None)
@given(st.lists(st.integers(min_value=0)))
def test_postgres_requests_in_any_pieces(cuts):
    messages = [SSL_REQUEST, STARTUP, pg(b"Q", b"SELECT 'COMMIT'\0"), PARSE_COMMIT, BIND, EXECUTE, SYNC, pg(b"X")]
    wire = PostgresWire()

    requests = [request for piece in pieces(b"".join(messages), cuts) for request in wire.requests(piece)]

    assert [request.raw for request in requests] == messages
    assert [request.sql for request in requests] == [None, None, "SELECT 'COMMIT'", None, None, "COMMIT", None, None]


@settings(deadline=None)
@given(st.lists(st.integers(min_value=0)))
def test_postgres_replies_in_any_pieces_belong_to_the_answer_that_their_request_named(cuts):
    wire = PostgresWire()
    asked = [*wire.requests(SSL_REQUEST + STARTUP), *wire.requests(pg(b"Q", b"SELECT 1\0") + EXECUTE + SYNC)]
    messages = [b"N", pg(b"R", b"\0\0\0\0"), READY, pg(b"D", b"Z"), READY, pg(b"C", b"COMMIT\0"), READY]

    replies = [reply for piece in pieces(b"".join(messages), cuts) for reply in wire.replies(piece)]

    assert [reply.raw for reply in replies] == messages
    assert [reply.ends for reply in replies] == [False, False, True, False, True, False, True]
    assert [reply.answer for reply in replies] == [1, 1, 1, 2, 2, 3, 3]
    assert [request.answer for request in asked[1:]] == [1, 2, 3, 3]


@settings(deadline=None)
@given(st.lists(st.integers(min_value=0)))
def test_mysql_commands_in_any_pieces(cuts):
    login, query, quit_ = my(1, b"\3root"), my(0, b"\3COMMIT"), my(0, b"\1")
    wire = MySQLWire()

    requests = [request for piece in pieces(login + query + quit_, cuts) for request in wire.requests(piece)]

    assert [request.raw for request in requests] == [login, query, quit_]
    assert [request.sql for request in requests] == [None, "COMMIT", None], "the login is no query"
    assert [request.answer for request in requests] == [0, 1, 1]


@settings(deadline=None)
@given(st.lists(st.integers(min_value=0)))
def test_mysql_answers_end_with_their_first_packet(cuts):
    wire = MySQLWire()
    greeting, welcome, result, row = my(0, b"\x0a"), my(2, b"\0"), my(1, b"\1"), my(2, b"x")
    login = [*wire.replies(greeting), *wire.replies(welcome)]
    list(wire.requests(my(0, b"\3SELECT 1")))

    replies = [reply for piece in pieces(result + row, cuts) for reply in wire.replies(piece)]

    assert [(reply.answer, reply.ends) for reply in login] == [(0, False), (0, False)]
    assert [(reply.raw, reply.answer, reply.ends) for reply in replies] == [(result, 1, True), (row, 1, False)]


@pytest.mark.parametrize("wire", [PostgresWire, MySQLWire])
def test_nothing_is_given_out_before_it_is_whole(wire):
    assert not list(wire().requests(b"\0\0\0"))
    assert not list(wire().replies(b"Z\0\0"))
