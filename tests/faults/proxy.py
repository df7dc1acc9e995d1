"""A TCP proxy that fails as networks fail, at the moment that a test chooses.

``upstream`` is the direction from the client to the server, ``downstream`` the way back, as in toxiproxy.
"""

from __future__ import annotations

import asyncio
import random
import re
import socket
import struct
import threading
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self, TypeVar

from tests.faults.processes import LOOPBACK, free_port
from tests.faults.wire import MySQLWire, PostgresWire, Wire

Direction = Literal["upstream", "downstream"]
Moment = Literal["before", "after"]
WIRES: dict[str, type[Wire]] = {"postgresql": PostgresWire, "mysql": MySQLWire}
# At the start of a statement, which may not be the first of its string.
COMMIT = r"(?is)(?:^|;)\s*(?:/\*.*?\*/\s*)*commit\b"
_Armed = TypeVar("_Armed", "_Limit", "_Trap")
_PATIENCE = 10.0  # seconds for the proxy's own thread to do what it is told


class _Cut(Exception):
    """The connection ends here."""


@dataclass(frozen=True)
class _Limit:
    n_bytes: int
    direction: Direction
    times: int


@dataclass(frozen=True)
class _Trap:
    pattern: re.Pattern[str]
    moment: Moment
    times: int


@dataclass(frozen=True)
class _Toxics:
    """The faults that are on."""

    latency: float = 0.0
    jitter: float = 0.0
    is_mute: bool = False
    swallowed: frozenset[Direction] = frozenset()
    limit: _Limit | None = None
    trap: _Trap | None = None


@dataclass(eq=False)
class _Link:
    """One client with its connection to the server."""

    client: socket.socket
    server: socket.socket
    wire: Wire | None
    passed: Counter[Direction] = field(default_factory=Counter)
    withheld: int | None = None  # the answer that the client must not see
    is_connected: bool = False
    is_half_open: bool = False
    is_lossy: bool = False  # bytes are missing: it can't go on once the fault is over
    resets: bool = False

    def close(self) -> None:
        for sock in (self.client, self.server):
            if self.resets:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()


class FaultProxy:
    """Forwards a port of the loopback interface to another, with faults that can be switched while connections live.

    Every method returns when its effect is there. ``protocol`` (``"postgresql"``, ``"mysql"``) is needed for ``cut_at``
    and ``cut_at_commit`` only. Where the server refuses a connection the proxy can but reset it; for the client to be
    refused, call ``refuse()``.

    Attributes:
        port: where it listens, for its whole life.
        accepted: connections accepted so far.
        cuts: connections ended so far by ``cut_after``, ``cut_at`` and ``cut_at_commit``.
        forwarded: bytes handed on so far, by direction.
    """

    def __init__(self, target_port: int, *, protocol: str | None = None) -> None:
        self.port = free_port()
        self.accepted = 0
        self.cuts = 0
        self.forwarded: Counter[Direction] = Counter()
        self._target = (LOOPBACK, target_port)
        self._wire = WIRES[protocol] if protocol else None
        self._toxics = _Toxics()
        self._links: dict[_Link, asyncio.Task[None]] = {}
        self._errors: list[Exception] = []
        self._listener: socket.socket | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), name="fault-proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(_PATIENCE), "The proxy does not start."
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_PATIENCE)
        assert not self._thread.is_alive(), "The proxy's thread does not end."
        if self._errors:
            raise ExceptionGroup("The proxy itself failed.", self._errors)

    @property
    def live(self) -> int:
        """Connections that are open now."""
        return len(self._links)

    def heal(self) -> None:
        """End every fault. Connections that lost bytes are reset, the others go on."""
        self._do(self._heal())

    def latency(self, seconds: float, jitter: float = 0.0) -> None:
        """Hold each chunk for ``seconds`` ± ``jitter``, in both directions; a chunk waits for the one before it."""
        self._change(latency=seconds, jitter=jitter)

    def deaf(self, *, accepts: bool = False) -> None:
        """Leave new connections in the accept queue, or accept them, and never answer. Live ones go on."""
        self._do(self._deafen(accepts))

    def refuse(self) -> None:
        """Close the listener: new connections are refused. Live ones go on."""
        self._do(self._unlisten())

    def reset(self) -> None:
        """Send RST on all live connections, to both sides. New ones are served."""
        self._do(self._end(list(self._links)))

    def blackhole(self, direction: Direction | Literal["both"] = "both") -> None:
        """Swallow what is sent and keep the sockets open: not even a close gets through."""
        self._change(swallowed=frozenset(["upstream", "downstream"] if direction == "both" else [direction]))

    def half_open(self) -> None:
        """Let the server see all live clients go, while they go on believing in their connections."""
        self._do(self._desert())

    def cut_after(self, n_bytes: int, direction: Direction, *, times: int = 1) -> None:
        """Close the next ``times`` connections that pass ``n_bytes`` from now on; exactly so many are delivered."""
        self._do(self._limit(_Limit(n_bytes, direction, times)))

    def cut_at(self, pattern: str, moment: Moment, *, times: int = 1) -> None:
        """Close the next ``times`` connections that send a statement in which ``pattern`` is found.

        ``before`` the server gets it, or ``after`` the server has answered and before the client gets that answer.
        """
        assert self._wire, "Which protocol?"
        self._change(trap=_Trap(re.compile(pattern), moment, times))

    def cut_at_commit(self, moment: Moment, *, times: int = 1) -> None:
        """``cut_at`` a COMMIT: the client can't know what became of it, the test does."""
        self.cut_at(COMMIT, moment, times=times)

    # Everything below runs in the proxy's own thread, but for these two.

    def _do(self, action: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(action, self._loop).result(_PATIENCE)

    def _change(self, **toxics: Any) -> None:
        async def change() -> None:
            self._toxics = replace(self._toxics, **toxics)

        self._do(change())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._listen()
        self._started.set()
        await self._stop.wait()
        await self._unlisten()
        await self._end(list(self._links))

    async def _heal(self) -> None:
        self._toxics = _Toxics()
        await self._end([link for link in self._links if link.is_lossy])
        self._listen()

    async def _deafen(self, accepts: bool) -> None:
        self._toxics = replace(self._toxics, is_mute=accepts)
        if not accepts and self._listener:
            self._loop.remove_reader(self._listener)

    async def _desert(self) -> None:
        for link in self._links:
            if link.is_connected:
                link.is_half_open = link.is_lossy = True
                link.server.shutdown(socket.SHUT_RDWR)

    async def _limit(self, limit: _Limit) -> None:
        for link in self._links:
            link.passed.clear()
        self._toxics = replace(self._toxics, limit=limit)

    async def _unlisten(self) -> None:
        if self._listener:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def _listen(self) -> None:
        if self._listener is None:
            self._listener = socket.create_server((LOOPBACK, self.port))
            self._listener.setblocking(False)
        self._loop.add_reader(self._listener, self._accept, self._listener)

    def _accept(self, listener: socket.socket) -> None:
        client, server = listener.accept()[0], socket.socket()
        for sock in (client, server):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.accepted += 1
        link = _Link(client, server, self._wire() if self._wire else None)
        task = self._links[link] = asyncio.create_task(self._serve(link))
        task.add_done_callback(lambda task: self._finish(link, task))  # also for a task cancelled before it began

    def _finish(self, link: _Link, task: asyncio.Task[None]) -> None:
        link.close()
        del self._links[link]
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            self._errors.append(error)

    async def _end(self, links: list[_Link]) -> None:
        tasks = {link: self._links[link] for link in links if link in self._links}  # the others have ended by now
        for link, task in tasks.items():
            link.resets = True
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)

    async def _serve(self, link: _Link) -> None:
        try:
            if self._toxics.is_mute:
                await self._hold(link)
            await self._loop.sock_connect(link.server, self._target)
            link.is_connected = True
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(link, "upstream", link.client, link.server))
                pumps.create_task(self._pump(link, "downstream", link.server, link.client))
        except* _Cut:
            pass
        except* OSError:  # one side is gone, and the other learns it as a reset
            link.resets = True

    async def _pump(self, link: _Link, direction: Direction, source: socket.socket, target: socket.socket) -> None:
        while chunk := await self._loop.sock_recv(source, 65_536):
            await self._delay()
            if link.is_half_open or direction in self._toxics.swallowed:
                link.is_lossy = True
                continue
            chunk, is_cut = self._trapped(link, direction, chunk)
            chunk, is_over = self._limited(link, direction, chunk)
            self.forwarded[direction] += len(chunk)  # before, so that nobody has what is not yet counted
            await self._loop.sock_sendall(target, chunk)
            if is_cut or is_over:
                self.cuts += 1
                raise _Cut
        if direction in self._toxics.swallowed or (link.is_half_open and direction == "downstream"):
            await self._hold(link)
        if link.is_half_open:
            raise _Cut
        target.shutdown(socket.SHUT_WR)

    async def _hold(self, link: _Link) -> None:
        """Keep the sockets open, until somebody ends the link."""
        link.is_lossy = True
        await asyncio.Event().wait()

    async def _delay(self) -> None:
        toxics = self._toxics
        if toxics.latency or toxics.jitter:
            await asyncio.sleep(max(0.0, toxics.latency + random.uniform(-toxics.jitter, toxics.jitter)))

    def _limited(self, link: _Link, direction: Direction, chunk: bytes) -> tuple[bytes, bool]:
        limit = self._toxics.limit
        if limit and limit.direction == direction:
            rest = limit.n_bytes - link.passed[direction]
            if len(chunk) >= rest:
                self._toxics = replace(self._toxics, limit=_once_less(limit))
                return chunk[:rest], True
        link.passed[direction] += len(chunk)
        return chunk, False

    def _trapped(self, link: _Link, direction: Direction, chunk: bytes) -> tuple[bytes, bool]:
        if link.wire is None:
            return chunk, False
        passed = bytearray()
        if direction == "upstream":
            for request in link.wire.requests(chunk):
                moment = self._spring(request.sql)
                if moment == "before":
                    return bytes(passed), True
                if moment == "after":
                    link.withheld = request.answer
                passed += request.raw
        else:
            for reply in link.wire.replies(chunk):
                if link.withheld is None or reply.answer < link.withheld:
                    passed += reply.raw
                elif reply.ends:
                    return bytes(passed), True
        return bytes(passed), False

    def _spring(self, sql: str | None) -> Moment | None:
        trap = self._toxics.trap
        if sql is None or trap is None or not trap.pattern.search(sql):
            return None
        self._toxics = replace(self._toxics, trap=_once_less(trap))
        return trap.moment


def _once_less(armed: _Armed) -> _Armed | None:
    return replace(armed, times=armed.times - 1) if armed.times > 1 else None
