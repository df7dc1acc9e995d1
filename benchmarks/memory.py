"""The most memory that a process ever held while it streamed every flight: ``python -m benchmarks.memory``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

#: Megabytes that a process may hold.
TARGET = 120


def measure() -> float:
    """Peak resident megabytes of a fresh process that streams every flight."""
    command = [sys.executable, "-m", "benchmarks.memory"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ)
    return float(done.stdout)


def _stream_everything() -> None:
    import django

    django.setup()

    from django.conf import settings
    from django.db import connection

    from testproject.flights.models import Flight

    connection.settings_dict["NAME"] = settings.DATABASES["default"]["TEST"]["NAME"]
    count = sum(1 for _ in Flight.objects.stream())
    assert count == 336_776, count


def _peak_megabytes() -> float:
    # Not ru_maxrss: on Linux a process inherits that from the one that started it.
    status = Path("/proc/self/status").read_text()
    (kilobytes,) = re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(kilobytes) / 1024


if __name__ == "__main__":
    _stream_everything()
    print(_peak_megabytes())
