"""Disks that can be filled: file systems in memory with a limit."""

from __future__ import annotations

import os
import pwd
import subprocess
import tempfile
from pathlib import Path

from tests.faults.processes import Server


def why_no_disks() -> str | None:
    """Why a file system can't be mounted here, ``None`` where it can."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "faults", folder], capture_output=True)
        if done.returncode == 0:
            subprocess.run(["umount", folder], check=True)
            return None
    return f"mounting a tmpfs is not permitted ({done.stderr.decode(errors='replace').partition(chr(10))[0]})"


class SizedDisk:
    """A tmpfs of ``size`` bytes in the folder of ``server``, which owns it."""

    def __init__(self, server: Server, size: int) -> None:
        self.path = server.folder / "disk"
        self._size = size
        self._user = server.user

    def mount(self) -> None:
        self.path.mkdir()
        account = pwd.getpwnam(self._user)
        options = f"size={self._size},mode=0700,uid={account.pw_uid},gid={account.pw_gid}"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "faults", str(self.path)], check=True)

    @property
    def ballast(self) -> Path:
        return self.path / "ballast"

    def fill(self, leave: int = 0) -> None:
        """Take all room but ``leave`` bytes."""
        state = os.statvfs(self.path)
        with self.ballast.open("ab") as file:
            os.posix_fallocate(file.fileno(), file.tell(), max(1, state.f_bavail * state.f_frsize - leave))

    def free(self) -> None:
        """Give the room back."""
        self.ballast.unlink(missing_ok=True)

    def unmount(self) -> None:
        if os.path.ismount(self.path):
            subprocess.run(["umount", str(self.path)], check=True)
