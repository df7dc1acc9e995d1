"""The package as something to import, install and pickle."""

from __future__ import annotations

import inspect
import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import DatabaseError

import django_enterprise_repo
from django_enterprise_repo import Repository, RepositoryQuerySet, exceptions, filtering, writing
from django_enterprise_repo.identifiers import uuid7

ROOT = Path(__file__).resolve().parent.parent.parent
READING = ("get", "get_or_none", "get_many", "get_by", "list", "count", "exists", "stream")
ENTITIES = ("add", "update", "delete", "restore", "commit_and_refresh")
SETS = ("add_all", "update_all", "delete_all", "restore_all")
VERBS = (*READING, *ENTITIES, *SETS, "diff", "revert_to")
WRITING = (*ENTITIES, *SETS, "revert_to")


def imported_by(statement):
    """Names of the modules that a fresh interpreter has after ``statement``."""
    script = f"{statement}\nimport json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=ROOT)
    return set(json.loads(done.stdout))


def test_importing_imports_nothing_optional_and_no_models():
    modules = imported_by("import django_enterprise_repo")

    optional = "redis django_redis psycopg MySQLdb factory simple_history prometheus_client pybreaker msgspec rich"
    assert not modules & set(optional.split())
    assert "django_enterprise_repo.models" not in modules


def test_abstract_models_are_imported_when_they_are_asked_for():
    assert "django.db.models" not in imported_by("import django_enterprise_repo")
    assert set(django_enterprise_repo.__all__) <= set(dir(django_enterprise_repo))


def test_a_project_starts_without_what_only_filters_and_writes_need():
    modules = imported_by(
        "import os; os.environ['DJANGO_SETTINGS_MODULE'] = 'testproject.settings'; import django; django.setup()"
    )

    assert "django_enterprise_repo.repository" in modules
    assert "django_enterprise_repo.filtering.lookups" in modules, "the ORM must know the lookups from the start"
    assert not modules & {"django_enterprise_repo.filtering.compiler", "django_enterprise_repo.writing.path"}


@pytest.mark.parametrize("package", [django_enterprise_repo, filtering, writing])
def test_lazy_packages_have_what_they_promise_and_nothing_else(package):
    assert all(getattr(package, name) for name in package.__all__)
    with pytest.raises(AttributeError, match="nonsense"):
        package.nonsense  # noqa: B018


def test_the_package_is_typed():
    assert (Path(django_enterprise_repo.__file__).parent / "py.typed").exists()


@pytest.mark.parametrize("kind", [Repository, RepositoryQuerySet])
@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_its_async_twin(kind, verb):
    twin = getattr(kind, f"a{verb}")

    assert inspect.iscoroutinefunction(twin) or inspect.isasyncgenfunction(twin)


@pytest.mark.parametrize("tool", ["health", "metrics"])
def test_every_tool_of_a_repository_has_its_async_twin(tool):
    twin = getattr(Repository, f"a{tool}")

    assert inspect.iscoroutinefunction(twin)
    assert inspect.signature(twin) == inspect.signature(getattr(Repository, tool))


# get, update, delete, count and exists have two meanings each, and their twins hand on whatever they are given.
@pytest.mark.parametrize("verb", sorted({*VERBS} - {"get", "update", "delete", "count", "exists"}))
def test_a_twin_takes_what_its_verb_takes(verb):
    parameters = inspect.signature(getattr(Repository, verb)).parameters
    twin = inspect.signature(getattr(Repository, f"a{verb}")).parameters

    assert positional(twin) == positional(parameters)
    hands_on = any(parameter.kind is parameter.VAR_KEYWORD for parameter in twin.values())
    assert hands_on or set(twin) == set(parameters)


def positional(parameters):
    return [name for name, parameter in parameters.items() if parameter.kind < parameter.VAR_POSITIONAL]


@pytest.mark.parametrize("verb", WRITING)
def test_templates_cannot_call_what_writes(verb):
    for kind in (Repository, RepositoryQuerySet):
        assert getattr(kind, verb).alters_data is True
        assert getattr(kind, f"a{verb}").alters_data is True


def test_errors_pickle_and_are_what_existing_code_catches():
    refused = exceptions.InvalidFilter([exceptions.Problem(("a", 0), "code", "message")])
    stale = exceptions.StaleObjectError(django_enterprise_repo.VersionedModel, 5, expected=1, actual=None)

    assert pickle.loads(pickle.dumps(refused)).problems == refused.problems
    assert str(refused) == "a.0: message"
    assert pickle.loads(pickle.dumps(stale)).__dict__ == stale.__dict__
    assert isinstance(refused, ValueError)
    assert isinstance(stale, DatabaseError)
    for name, error in inspect.getmembers(exceptions, inspect.isclass):
        if issubclass(error, Exception) and error is not DatabaseError:
            assert issubclass(error, exceptions.RepositoryError), name


def test_ids_are_version_7_and_sort_by_time():
    ids = [uuid7() for _ in range(1000)]

    assert {identifier.version for identifier in ids} == {7}
    assert ids == sorted(ids)
    assert len(set(ids)) == 1000


def test_no_file_of_the_project_is_large():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=False, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    large = {name: (ROOT / name).stat().st_size for name in listed.stdout.split("\0") if (ROOT / name).is_file()}
    assert {name for name, size in large.items() if size > 1_000_000} <= {"testproject/flights/data/flights.csv.xz"}
    assert not [
        name
        for name in large
        if name.endswith(".py") and "/migrations/" not in name and len((ROOT / name).read_text().splitlines()) > 400
    ]
