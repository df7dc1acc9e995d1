"""Servers of our own: processes that a test may stop, freeze or kill, and that never outlive it."""

from __future__ import annotations

import atexit
import contextlib
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import IO, ClassVar, Self

LOOPBACK = "127.0.0.1"
_PORTS = range(20_000, 32_000)  # below the ephemeral ones: a port stays ours while its server is down


def free_port() -> int:
    """A port of the loopback interface that nothing listens on."""
    for port in random.SystemRandom().sample(_PORTS, 100):
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((LOOPBACK, port))
            return port
    raise OSError("No free port.")


def program(name: str) -> str | None:
    """The path of a program, also where only administrators look for it."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"]))


def wait_until(condition: Callable[[], bool], within: float, what: str) -> None:
    """Poll ``condition`` until it holds.

    Raises:
        TimeoutError: if it does not hold ``within`` seconds; ``what`` says what was awaited.
    """
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"Not within {within} s: {what}.")
        time.sleep(0.02)


def children(pid: int) -> list[int]:
    """The processes that ``pid`` started and that are still there, with theirs."""
    try:
        direct = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):  # it ended, maybe after its parent named it
        return []
    return [*direct, *(below for child in direct for below in children(child))]


def is_alive(pid: int) -> bool:
    """Whether the process is there and not just waiting to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class ServerFailed(Exception):
    """A server did not come up; the end of its log is in the message."""


class Server(ABC):
    """A server with a port and a folder of its own, both the same for all its life.

    Run as root, it becomes the unprivileged ``user``. Entering the context starts it, leaving it ends every process by
    its id and removes the folder; so does the end of the interpreter. A forked child that exits leaves it alone.
    """

    user: ClassVar[str]
    last_signal: ClassVar[signal.Signals] = signal.SIGKILL  # what ends it for good
    patience: ClassVar[float] = 60.0  # seconds to come up or go down, on a busy machine

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="faults-"))
        self.process: subprocess.Popen[bytes] | None = None
        self._owner = os.getpid()
        self._suspended: set[int] = set()
        self._is_stopping = False
        atexit.register(self.close)
        self.own(self.folder)

    @abstractmethod
    def command(self) -> list[str]:
        """What runs it in the foreground."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether it takes connections."""

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        assert self.process, "It does not run."
        return self.process.pid

    @property
    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self, *, wait: bool = True) -> None:
        """Start it, and ``wait`` until it takes connections.

        Raises:
            ServerFailed: if it ends or does not come up in time.
        """
        assert not self.is_running, "It runs already."
        with (self.folder / "log").open("ab") as log:
            self.process = self._popen(self.command(), stdout=log)
        self._is_stopping = False
        if wait:
            self.wait_until_ready()

    def wait_until_ready(self) -> None:
        try:
            wait_until(lambda: not self.is_running or self.is_ready(), self.patience, "the server is ready")
        except TimeoutError as error:
            raise ServerFailed(self.log[-2000:]) from error
        if not self.is_running:
            raise ServerFailed(self.log[-2000:])

    def stop(self, *, wait: bool = True) -> None:
        """Ask it to end, and ``wait`` until it has ended."""
        self._signal(signal.SIGTERM, wait=wait)

    def wait_until_stopped(self) -> None:
        assert self.process
        self.process.wait(self.patience)
        self._suspended.clear()

    def restart(self) -> None:
        self.stop()
        self.start()

    def kill(self, pid: int | None = None) -> None:
        """SIGKILL for the one of its processes that has this id, or for all of them, as when their machine dies.

        The files stay as they are, and ``start`` finds them so.
        """
        doomed = self._processes() if pid is None else [self._ours(pid)]
        for victim in doomed:
            with contextlib.suppress(ProcessLookupError):  # some go by themselves when the first one is gone
                os.kill(victim, signal.SIGKILL)
        if self.process and self.process.pid in doomed:
            self.wait_until_stopped()
        wait_until(lambda: not any(map(is_alive, doomed)), self.patience, "all killed processes are gone")

    def suspend(self, pid: int | None = None) -> None:
        """Freeze the server's main process, or the one of its processes that has this id."""
        pid = self._ours(pid)
        os.kill(pid, signal.SIGSTOP)
        self._suspended.add(pid)

    def resume(self, pid: int | None = None) -> None:
        """Let what was suspended go on."""
        pid = self._ours(pid)
        os.kill(pid, signal.SIGCONT)
        self._suspended.discard(pid)

    def heal(self) -> None:
        """Let everything run again."""
        self._resume_all()
        if self._is_stopping:
            self.kill()
        if not self.is_running:
            self.start()

    def close(self) -> None:
        """End it for good."""
        if os.getpid() != self._owner:
            return
        atexit.unregister(self.close)
        if self.is_running:
            self._resume_all()
            try:
                self._signal(self.last_signal)
            except subprocess.TimeoutExpired:
                self.kill()
        self.clean()
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def clean(self) -> None:  # noqa: B027  # most have nothing to undo
        """What a kind of server has to undo before its folder goes."""

    def own(self, path: Path) -> None:
        """Give ``path`` to the user that the server runs as."""
        if os.geteuid() == 0:
            account = pwd.getpwnam(self.user)
            os.chown(path, account.pw_uid, account.pw_gid)

    def run(self, *command: str | Path) -> None:
        """Run a program of the server to its end.

        Raises:
            ServerFailed: if it fails.
        """
        process = self._popen([str(part) for part in command], stdout=subprocess.PIPE)
        try:
            output, _ = process.communicate(timeout=self.patience)
        except BaseException:
            process.kill()
            process.communicate()
            raise
        if process.returncode:
            raise ServerFailed(output.decode(errors="replace")[-2000:])

    def _popen(self, command: list[str], *, stdout: int | IO[bytes]) -> subprocess.Popen[bytes]:
        becomes_user = os.geteuid() == 0
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            cwd=self.folder,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            start_new_session=True,  # an interrupt from the keyboard ends the tests, and they end the servers
            user=self.user if becomes_user else None,
            group=self.user if becomes_user else None,
            extra_groups=[] if becomes_user else None,
        )

    def _signal(self, how: signal.Signals, *, wait: bool = True) -> None:
        if self.is_running:
            self._is_stopping = True
            os.kill(self.pid, how)
            if wait:
                self.wait_until_stopped()

    def _processes(self) -> list[int]:
        return [self.pid, *children(self.pid)] if self.is_running else []

    def _resume_all(self) -> None:
        for pid in self._suspended.intersection(self._processes()):
            self.resume(pid)
        self._suspended.clear()

    def _ours(self, pid: int | None) -> int:
        if pid is None:
            return self.pid
        assert pid in self._processes(), f"{pid} is none of this server's processes."
        return pid
