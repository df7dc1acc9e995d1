"""Just enough of two wire protocols to know which statement a client sends and when its answer is complete.

Sources: PostgreSQL's documentation, "Frontend/Backend Protocol: Message Formats"; MariaDB's, "Client/Server Protocol".
Encrypted connections cannot be read: connect with ``sslmode=disable``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Request:
    """A whole message of the client.

    Attributes:
        raw: its bytes.
        sql: the statement that the server runs on it, ``None`` when it runs none.
        answer: the number of the answer that settles it, counted from 1 for each connection.
    """

    raw: bytes
    sql: str | None
    answer: int


@dataclass(frozen=True)
class Reply:
    """A whole message of the server: a part of answer number ``answer``, its last one where ``ends``."""

    raw: bytes
    answer: int
    ends: bool


class Wire(Protocol):
    """The conversation on one connection. Bytes come in any pieces, messages go out whole."""

    def requests(self, chunk: bytes) -> Iterator[Request]: ...

    def replies(self, chunk: bytes) -> Iterator[Reply]: ...


class PostgresWire:
    """Protocol version 3, simple and extended queries. An answer ends with ReadyForQuery."""

    _SSL_REQUEST, _CANCEL_REQUEST, _GSS_REQUEST = 80877103, 80877102, 80877104

    def __init__(self) -> None:
        self._from_client = bytearray()
        self._from_server = bytearray()
        self._started = False
        self._refusals_due = 0  # SSLRequest and GSSENCRequest are answered by one byte without a header
        self._asked = 0
        self._answered = 0
        self._statements: dict[bytes, str] = {}
        self._portals: dict[bytes, str] = {}

    def requests(self, chunk: bytes) -> Iterator[Request]:
        self._from_client += chunk
        while raw := self._take(self._from_client, header=1 if self._started else 0):
            yield self._request(raw) if self._started else self._greeting(raw)

    def replies(self, chunk: bytes) -> Iterator[Reply]:
        self._from_server += chunk
        while self._refusals_due and self._from_server:
            self._refusals_due -= 1
            yield Reply(bytes([self._from_server.pop(0)]), self._answered + 1, ends=False)
        while raw := self._take(self._from_server, header=1):
            ends = raw[:1] == b"Z"
            yield Reply(raw, self._answered + 1, ends)
            self._answered += ends

    @staticmethod
    def _take(buffer: bytearray, header: int) -> bytes:
        """The first whole message; its length counts itself and not the type byte before it."""
        if len(buffer) < header + 4:
            return b""
        size = header + int.from_bytes(buffer[header : header + 4], "big")
        if len(buffer) < size:
            return b""
        raw = bytes(buffer[:size])
        del buffer[:size]
        return raw

    def _greeting(self, raw: bytes) -> Request:
        code = int.from_bytes(raw[4:8], "big")
        if code in (self._SSL_REQUEST, self._GSS_REQUEST):
            self._refusals_due += 1
        elif code != self._CANCEL_REQUEST:
            self._started = True
            self._asked += 1
        return Request(raw, None, self._asked)

    def _request(self, raw: bytes) -> Request:
        kind, body = raw[:1], raw[5:]
        answer = self._asked + 1
        self._asked += kind in (b"Q", b"S", b"F")  # Query, Sync and FunctionCall each get a ReadyForQuery
        return Request(raw, self._statement(kind, body), answer)

    def _statement(self, kind: bytes, body: bytes) -> str | None:
        if kind == b"Q":
            return _text(body)
        if kind == b"P":
            name, _, rest = body.partition(b"\0")
            self._statements[name] = _text(rest)
        elif kind == b"B":
            portal, name, *_ = body.split(b"\0", 2)
            self._portals[portal] = self._statements.get(name, "")
        elif kind == b"E":
            return self._portals.get(body.partition(b"\0")[0])
        return None


class MySQLWire:
    """Text commands of MySQL and MariaDB. An answer ends, for us, with its first packet: the server has then run it."""

    _QUIT, _QUERY = 1, 3

    def __init__(self) -> None:
        self._from_client = bytearray()
        self._from_server = bytearray()
        self._asked = 0
        self._answered = 0

    def requests(self, chunk: bytes) -> Iterator[Request]:
        self._from_client += chunk
        while raw := self._take(self._from_client):
            number, command = raw[3], raw[4] if len(raw) > 4 else None
            is_command = number == 0 and command != self._QUIT  # the answers of the login have numbers above 0
            self._asked += is_command
            sql = raw[5:].decode(errors="replace") if is_command and command == self._QUERY else None
            yield Request(raw, sql, self._asked)

    def replies(self, chunk: bytes) -> Iterator[Reply]:
        self._from_server += chunk
        while raw := self._take(self._from_server):
            ends = self._answered < self._asked
            self._answered += ends
            yield Reply(raw, self._answered, ends)

    @staticmethod
    def _take(buffer: bytearray) -> bytes:
        if len(buffer) < 4:
            return b""
        size = 4 + int.from_bytes(buffer[:3], "little")
        if len(buffer) < size:
            return b""
        raw = bytes(buffer[:size])
        del buffer[:size]
        return raw


def _text(body: bytes) -> str:
    return body.partition(b"\0")[0].decode(errors="replace")
