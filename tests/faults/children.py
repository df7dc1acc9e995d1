"""Processes with a Django of their own, which a test may fork, interrupt and kill.

They are spawned: what this process has by way of threads and locks is not for them. This module imports no models,
because a child imports it before its Django is set up.
"""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing.process import BaseProcess
from typing import Any

_SPAWNED = multiprocessing.get_context("spawn")


def spawn(main: str, settings: dict[str, Any], *arguments: Any, **policies: Any) -> BaseProcess:
    """Start a process that calls ``main``, a dotted path, with the alias of a guarded database and ``arguments``."""
    process = _SPAWNED.Process(target=_run, args=[main, settings, arguments, policies], daemon=True)
    process.start()
    return process


def pipe() -> Any:
    """Two connected ends, one for the child."""
    return _SPAWNED.Pipe()


def event() -> Any:
    """Something that children can wait for."""
    return _SPAWNED.Event()


def _run(main: str, settings: dict[str, Any], arguments: tuple[Any, ...], policies: dict[str, Any]) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django
    from django.utils.module_loading import import_string

    django.setup()
    from tests.faults.setups import guarded

    with guarded(settings, **policies) as alias:
        import_string(main)(alias, *arguments)
