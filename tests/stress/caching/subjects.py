"""What is put under stress. Nothing here needs Django set up: settings are made from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

#: Seconds. A lock has to outlive what a writer does up to its COMMIT, on a busy machine too.
LOCK_TTL = 2
VALUE_TTL = 300

CACHE_ALIAS = "repository"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A way to cache rows.

    Attributes:
        name: as the command line calls it.
        title: as the report calls it.
        ways: names of functions in ``ways``, of which writers choose at random.
        get: name of a function in ``gets``.
        model: whose rows are written and read.
        apps: installed beside the stress test's own.
        needs: the Python package without which it cannot run.
        engine: of the database.
        serializer: of the cache.
        settings: whatever else it wants; ``{redis}`` in texts is the server's URL.
    """

    name: str
    title: str
    ways: tuple[str, ...]
    get: str
    model: str = "Row"
    apps: tuple[str, ...] = ()
    needs: str = "django_redis"
    engine: str = "django.db.backends.postgresql"
    serializer: str = "django_redis.serializers.pickle.PickleSerializer"
    settings: tuple[tuple[str, Any], ...] = ()


_PLAIN_WAYS = (
    "save", "save_in_a_transaction", "update_queryset", "bulk_update", "roll_back", "roll_back_to_a_savepoint",
)  # fmt: skip

OURS = Subject(
    name="ours",
    title="this package",
    ways=(*_PLAIN_WAYS, "update_by_verb", "update_all_by_verb"),
    get="by_manager",
    model="Coherent",
    apps=("django_enterprise_repo",),
    engine="django_enterprise_repo.db.backends.postgresql",
    serializer="django_enterprise_repo.caching.serializers.BytesSerializer",
    settings=(("ENTERPRISE_REPO", {"SLOW_OPERATION": 120.0}),),  # where ten processes share two cores all is slow
)
OURS_ON_DJANGO = replace(
    OURS, name="ours-on-django", title="this package, Django's engine", engine="django.db.backends.postgresql"
)
CONTROL = Subject(name="control", title="delete after commit, by hand", ways=_PLAIN_WAYS, get="by_hand")
#: They do not see every way of writing; by ``save()`` alone nobody can say that they were not told.
CACHEOPS = Subject(
    name="cacheops",
    title="django-cacheops, only `save()`",
    ways=("save_in_a_transaction",),
    get="by_manager",
    apps=("cacheops",),
    needs="cacheops",
    settings=(
        ("CACHEOPS_REDIS", "{redis}"),
        ("CACHEOPS_PREFIX", "tests.stress.caching.settings.cacheops_prefix"),
        ("CACHEOPS", {"stress.row": {"ops": "get", "timeout": VALUE_TTL}}),
    ),
)
CACHALOT = Subject(
    name="cachalot",
    title="django-cachalot, only `save()`",
    ways=("save_in_a_transaction",),
    get="by_manager",
    apps=("cachalot",),
    needs="cachalot",
    settings=(
        ("CACHALOT_CACHE", CACHE_ALIAS),
        ("CACHALOT_TIMEOUT", VALUE_TTL),
        ("CACHALOT_ONLY_CACHABLE_TABLES", ("stress_row",)),
    ),
)

SUBJECTS = {subject.name: subject for subject in (OURS, OURS_ON_DJANGO, CONTROL, CACHEOPS, CACHALOT)}
