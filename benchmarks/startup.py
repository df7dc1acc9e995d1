"""What the app adds to the start of a project; each sample is a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

from .measuring import Result, result

NAME = "django.setup() with the app : without"
_ROUNDS = 101
_SCRIPT = """
import time
from django.conf import settings
apps = ["django.contrib." + name for name in ("admin", "auth", "contenttypes", "sessions", "messages", "staticfiles")]
settings.configure(
    INSTALLED_APPS=[*apps, "simple_history", *{extra}],
    DATABASES={{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}}},
)
import django
started = time.perf_counter()
django.setup()
{then}
print(time.perf_counter() - started)
"""
_THEIRS = _SCRIPT.format(extra=[], then="")
# A project that has the app also uses it, so everything public is imported too.
_OURS = _SCRIPT.format(
    extra=["django_enterprise_repo"],
    then="import django_enterprise_repo as it\nfor name in it.__all__: getattr(it, name)",
)


def measure() -> Result:
    """``django.setup()`` with the app and all its public names, and without."""
    _seconds(_OURS), _seconds(_THEIRS)  # so that bytecode is there
    ours, theirs = [], []
    for turn in range(_ROUNDS):
        if turn % 2:
            theirs.append(_seconds(_THEIRS))
            ours.append(_seconds(_OURS))
        else:
            ours.append(_seconds(_OURS))
            theirs.append(_seconds(_THEIRS))
    return result(NAME, "none", 1.1, ours, theirs)


def _seconds(script: str) -> float:
    # An installed package has its bytecode; a checkout must be allowed to keep it.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return float(done.stdout)
