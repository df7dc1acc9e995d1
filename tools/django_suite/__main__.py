"""Compare what an empty ``Manager`` subclass breaks in Django's own tests with what ``Repository`` breaks.

The repository runs on the package's own engine for SQLite, the empty subclass on Django's.

    python -m tools.django_suite [--apps APP ...] [--manager DOTTED.PATH] [--show]

The suite comes from the source distribution of the installed Django, fetched by pip once and kept in ``.cache``.
Succeeds when the repository fails no test that the empty subclass passes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import django

ROOT = Path(__file__).resolve().parent.parent.parent
CACHE = ROOT / ".cache" / "django-suite"
EMPTY = "tools.django_suite.empty.EmptyManager"
REPOSITORY = "django_enterprise_repo.repository.Repository"

#: The apps about the ORM's core, and below them further ones about what stands on it.
_APPS = """
basic queries lookup managers_regress many_to_many many_to_one one_to_one delete bulk_create aggregation annotations
update get_or_create select_related prefetch_related transactions ordering custom_managers async expressions
or_lookups model_inheritance proxy_models generic_relations defer m2m_through null_queries pagination

aggregation_regress composite_pk custom_pk custom_columns dates datetimes delete_regress defer_regress
distinct_on_fields expressions_case expressions_window extra_regress filtered_relation force_insert_update
foreign_object generic_relations_regress get_earliest_or_latest get_object_or_404 inline_formsets
known_related_objects m2m_and_m2o m2m_intermediary m2m_multiple m2m_recursive m2m_regress m2m_signals
m2m_through_regress many_to_one_null model_forms model_formsets model_inheritance_regress model_meta multiple_database
mutually_referential nested_foreign_keys null_fk null_fk_ordering or_lookups order_with_respect_to
proxy_model_inheritance queryset_pickle raw_query reserved_names reverse_lookup save_delete_hooks select_for_update
select_related_onetoone select_related_regress serializers signals string_lookup swappable_models transaction_hooks
update_only_fields validation constraints unmanaged_models
"""
APPS = _APPS.split()


@dataclass(frozen=True)
class Arm:
    """One run of the suite with one manager in place."""

    manager: str
    run: int
    bad: frozenset[str]
    details: dict[str, str]
    seconds: float


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.django_suite")
    parser.add_argument("--apps", nargs="+", default=APPS)
    parser.add_argument("--manager", default=REPOSITORY)
    parser.add_argument("--show", action="store_true", help="print the traceback of every difference")
    options = parser.parse_args()

    source = unpack(fetch(django.__version__))
    apps = [app for app in dict.fromkeys(options.apps) if (source / "tests" / app).is_dir()]
    print(f"Django {django.__version__}: {len(apps)} apps of its test suite, on SQLite", flush=True)
    with ThreadPoolExecutor(2) as pool:  # side by side, each in a process of its own
        empty, ours = pool.map(lambda manager: run_suite(source, apps, manager), (EMPTY, options.manager))

    compares_docstrings = frozenset(test for test in ours.bad if "__doc__" in ours.details.get(test, ""))
    extra = sorted(ours.bad - empty.bad - compares_docstrings)
    if extra:  # some of Django's tests measure time; whatever the repository breaks, it breaks again
        # With all of its app: a test may be broken by what another one has left behind.
        again = run_suite(source, sorted({test.partition(".")[0] for test in extra}), options.manager)
        for test in sorted(set(extra) - again.bad):
            print(f"    passed when its app was run again: {test}")
        extra = sorted(again.bad & set(extra))
    for arm in (empty, ours):
        print(f"  {arm.manager:<48} {arm.run:>6} tests, {len(arm.bad):>3} not passed, {arm.seconds:>6.1f} s")
    for test in sorted(empty.bad):
        print(f"    not passed by the empty subclass: {test}")
    for test in sorted(compares_docstrings - empty.bad):
        print(f"    compares docstrings: {test}")
    for test in extra:
        print(f"    NOT PASSED BY THE REPOSITORY ALONE: {test}")
        if options.show:
            print(ours.details.get(test, ""))
    print(f"{ours.run - len(extra)} passed, {len(extra)} failed")
    return 1 if extra or ours.run != empty.run or not ours.run else 0


def fetch(version: str) -> Path:
    """The source distribution, from pip's index or from an earlier run."""
    CACHE.mkdir(parents=True, exist_ok=True)
    found = list(CACHE.glob(f"[dD]jango-{version}.tar.gz"))
    if not found:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "django"]
        subprocess.run([*pip, "--dest", str(CACHE), f"django=={version}"], check=True)
        found = list(CACHE.glob(f"[dD]jango-{version}.tar.gz"))
    return found[0]


def unpack(archive: Path) -> Path:
    """The folder of the unpacked distribution."""
    folder = archive.with_name(archive.name.removesuffix(".tar.gz"))
    if not folder.is_dir():
        with tarfile.open(archive) as tar:
            tar.extractall(CACHE, filter="data")
    return folder


def run_suite(source: Path, apps: list[str], manager: str) -> Arm:
    """Run the apps' tests in a process of its own, with ``manager`` in the place of ``models.Manager``."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.json"
        standin = Path(__file__).with_name("standin.py")
        command = [sys.executable, str(standin), manager, str(results), str(source / "tests" / "runtests.py")]
        settings = "test_sqlite" if manager == EMPTY else "tools.django_suite.guarded_settings"
        options = [f"--settings={settings}", "--parallel=1", "--verbosity=0", *apps]
        environment = {key: value for key, value in os.environ.items() if key != "DJANGO_SETTINGS_MODULE"}
        environment["PYTHONPATH"] = str(ROOT)
        done = subprocess.run(
            [*command, *options], cwd=source / "tests", env=environment, check=False, capture_output=True, text=True
        )
        if not results.exists():
            raise SystemExit(f"The suite did not run with {manager}:\n{done.stdout[-3000:]}{done.stderr[-6000:]}")
        found = json.loads(results.read_text())
    return Arm(manager, found["run"], frozenset(found["bad"]), found["details"], time.monotonic() - started)


if __name__ == "__main__":
    sys.exit(main())
