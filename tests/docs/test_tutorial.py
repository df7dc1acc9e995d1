"""The tutorial, done: from the wheel that was just built, in a folder of its own, command by command."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sybil import Example, Sybil
from sybil.parsers.myst import CodeBlockParser

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "tutorial" / "index.md"

_SECONDS = 300


class Reader:
    """Does what the page says: writes its files, gives its commands, compares what they print."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.folder = folder
        self.port = _free_port()
        self.servers: list[subprocess.Popen[bytes]] = []
        constraint = folder / "constraint.txt"
        # The name must mean this wheel, whatever an index may offer under it.
        constraint.write_text(f"django-enterprise-repo @ {wheel.as_uri()}\n")
        path = [folder / ".venv" / "bin", Path(sys.executable).parent, os.environ["PATH"]]
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("DJANGO_")} | {
            "PIP_CONSTRAINT": str(constraint),
            "PIP_FIND_LINKS": str(wheel.parent),
            "PIP_QUIET": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PYTHONUNBUFFERED": "1",
            "VIRTUAL_ENV": str(folder / ".venv"),
            "PATH": os.pathsep.join(map(str, path)),
        }

    def write(self, example: Example) -> None:
        caption: str = example.region.lexemes["options"]["caption"]
        name, _, where = caption.partition(" ")
        with (self.folder / name).open("a" if where == "(at the end)" else "w") as file:
            file.write(str(example.parsed))

    def run(self, example: Example) -> None:
        for command, expected in _commands(str(example.parsed)):
            command = command.replace("8000", str(self.port))
            if command.endswith("&"):
                self.serve(shlex.split(command.rstrip("& ")))
                continue
            done = subprocess.run(
                command,
                shell=True,
                cwd=self.folder,
                env=self.environment,
                text=True,
                capture_output=True,
                timeout=_SECONDS,
                check=False,
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
            if expected:
                assert done.stdout.strip() == expected.strip(), command

    def serve(self, command: list[str]) -> None:
        self.servers.append(
            subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        )
        for _ in range(200):
            with closing(socket.socket()) as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        raise AssertionError(f"{command} did not answer on port {self.port}")

    def stop(self) -> None:
        for server in self.servers:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(timeout=10)


def _commands(block: str) -> Iterator[tuple[str, str]]:
    """The commands of a console block with what each is said to print."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def _free_port() -> int:
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return built


def test_the_tutorial_works_as_written(tmp_path: Path, wheel: Path) -> None:
    reader = Reader(tmp_path, wheel)
    parsers = [CodeBlockParser("console", reader.run), CodeBlockParser("python", reader.write)]
    try:
        for example in Sybil(parsers=parsers).parse(PAGE).examples():
            example.evaluate()
    finally:
        reader.stop()

    origin = subprocess.run(
        [tmp_path / ".venv" / "bin" / "python", "-c", "import django_enterprise_repo as it; print(it.__file__)"],
        cwd=tmp_path,
        env=reader.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert origin.stdout.startswith(str(tmp_path)), "the tutorial ran on something else than the wheel"
