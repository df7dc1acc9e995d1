"""Packets that get lost, or are answered by a reset, for one port of the loopback interface: nftables."""

from __future__ import annotations

import atexit
import os
import subprocess
from typing import Literal, Self

from tests.faults.processes import program


def why_no_firewall() -> str | None:
    """Why rules can't be set here, ``None`` where they can."""
    if program("nft") is None:
        return "nft is not installed (apt-get install nftables)"
    done = subprocess.run(
        [str(program("nft")), "--check", "add table inet faults_check"], capture_output=True, text=True
    )
    return f"nftables is not permitted ({done.stderr.partition(chr(10))[0]})" if done.returncode else None


class Firewall:
    """A table of rules of its own for the server at ``port``; leaving the context or the interpreter removes it."""

    def __init__(self, port: int) -> None:
        self._table = f"faults_{os.getpid()}_{port}"
        self._to_server, self._to_client = f'iifname "lo" tcp dport {port}', f'iifname "lo" tcp sport {port}'
        # "add" first, as it is no error to delete what is there.
        self._removal = f"add table inet {self._table}\ndelete table inet {self._table}\n"
        self._owner = os.getpid()
        atexit.register(self._close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def drop(self, direction: Literal["upstream", "downstream", "both"] = "both") -> None:
        """Lose every packet; TCP goes on trying, so what was sent arrives once the rule is gone."""
        matches = {"upstream": [self._to_server], "downstream": [self._to_client]}
        self._apply([f"{match} drop" for match in matches.get(direction, [self._to_server, self._to_client])])

    def reject(self) -> None:
        """Answer every packet of a client with RST. The server doesn't learn of it."""
        self._apply([f"{self._to_server} reject with tcp reset"])

    def heal(self) -> None:
        """Let everything through."""
        self._nft(self._removal)

    def _apply(self, rules: list[str]) -> None:
        chain = "\n".join(["type filter hook input priority 0", "policy accept", *rules])
        # One transaction: there is no moment between the old rules and the new ones.
        self._nft(f"{self._removal}table inet {self._table} {{\nchain input {{\n{chain}\n}}\n}}\n")

    def _close(self) -> None:
        if os.getpid() == self._owner:
            atexit.unregister(self._close)
            self.heal()

    def _nft(self, script: str) -> None:
        subprocess.run([str(program("nft")), "-f", "-"], input=script, check=True, text=True)
