"""Runs inside the process of Django's ``runtests.py``: puts another class in the place of ``models.Manager``.

    python standin.py MANAGER RESULTS runtests.py [arguments of runtests.py]

``MANAGER`` is a dotted path.
"""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import django.db.models
import django.db.models.base
import django.db.models.manager
from django.test.runner import DiscoverRunner
from django.utils.module_loading import import_string


def put_in_place(manager: type) -> None:
    """Every model from now on takes ``manager`` where it would take ``Manager``, written out or implied."""
    for module in (django.db.models, django.db.models.base, django.db.models.manager):
        module.Manager = manager


def record_results(file: Path) -> None:
    """Write the ids of the tests that did not pass, when the runner has finished."""
    original = DiscoverRunner.suite_result

    def suite_result(self: DiscoverRunner, suite: Any, result: Any, **kwargs: Any) -> Any:
        bad = [*result.failures, *result.errors]
        bad_ids = sorted({_id(test) for test, _ in bad} | {_id(test) for test in result.unexpectedSuccesses})
        details = {_id(test): text for test, text in bad}
        file.write_text(json.dumps({"run": result.testsRun, "bad": bad_ids, "details": details}))
        return original(self, suite, result, **kwargs)

    DiscoverRunner.suite_result = suite_result


def _id(test: Any) -> str:
    # A failed subtest is counted for its test: its own id repeats values that differ between runs.
    return str(getattr(test, "test_case", test).id())


def main() -> None:
    manager, results, script, *arguments = sys.argv[1:]
    put_in_place(import_string(manager))
    record_results(Path(results))
    sys.argv = [script, *arguments]
    sys.path.insert(0, str(Path(script).parent))
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main()
