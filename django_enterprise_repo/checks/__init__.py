"""System checks: what would go wrong later, said when the project starts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, models, router
from django.db.models import CharField, ForeignObjectRel, Model, TextField

from .. import auditing, filtering
from ..conf import KNOWN_SETTINGS
from ..models import RepositoryModel
from ..querysets import RepositoryQuerySetMixin
from ..repository import Repository
from ..soft_delete.markers import can_be_soft_deleted, marker_of, model_marker
from .caching import register_caching_checks
from .resilience import register_resilience_checks

DOCS = "See docs/reference/checks.md."


def register_checks() -> None:
    """Called once, when the app is ready."""
    register(check_settings)
    register(check_repositories, Tags.models)
    register(check_soft_delete, Tags.models)
    register(check_histories, Tags.models)
    register(check_retention, Tags.models)
    register(check_collations, Tags.database)
    register_resilience_checks()
    register_caching_checks()


def check_settings(**kwargs: Any) -> list[CheckMessage]:
    """The settings dict holds known names with values of the right kind."""
    configured = getattr(settings, "ENTERPRISE_REPO", {})
    if not isinstance(configured, dict):
        return [Error("ENTERPRISE_REPO is not a dict.", hint=DOCS, id="enterprise_repo.E001")]
    problems: list[CheckMessage] = []
    for name, value in configured.items():
        if name not in KNOWN_SETTINGS:
            problems.append(
                Error(
                    f"ENTERPRISE_REPO has no setting {name!r}.",
                    hint=f"Known are {', '.join(sorted(KNOWN_SETTINGS))}.",
                    id="enterprise_repo.E002",
                )
            )
        elif complaint := KNOWN_SETTINGS[name](value):
            problems.append(Error(f"ENTERPRISE_REPO[{name!r}] {complaint}.", hint=DOCS, id="enterprise_repo.E003"))
    return problems


def check_repositories(app_configs: Sequence[Any] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Every repository's policies fit its model."""
    problems: list[CheckMessage] = []
    for model, repository in _repositories(app_configs):
        try:
            filtering.resolve_policy(model, repository.filters)
            filtering.compile_ordering(model, repository.filters, None)
        except ImproperlyConfigured as error:
            problems.append(Error(str(error), obj=model, hint=DOCS, id="enterprise_repo.E004"))
        if not issubclass(repository._queryset_class, RepositoryQuerySetMixin):
            problems.append(_foreign_queryset(model, repository))
        try:
            marker_of(model, repository.soft_delete)
        except ImproperlyConfigured as error:
            problems.append(Error(str(error), obj=model, hint=DOCS, id="enterprise_repo.E005"))
    return problems


def check_soft_delete(app_configs: Sequence[Any] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Soft-deletable models are set up so that nothing is deleted, kept or hidden by surprise."""
    if check_repositories(app_configs):
        return []  # markers cannot be asked for while a policy is wrong, and E005 says which
    problems: list[CheckMessage] = []
    for model in dict.fromkeys(model for model, _ in _repositories(app_configs)):
        deletable = can_be_soft_deleted(model)
        if deletable:
            problems += _hiding_base_manager(model)
            problems += _cascading_children(model)
        if (deletable or auditing.family.reaches_history(model)) and not issubclass(model, RepositoryModel):
            problems.append(_manager_alone(model, deletable))
    return problems


def check_histories(app_configs: Sequence[Any] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """A history is where its model is: only then do both commit, or neither."""
    return [
        Error(
            f"The history of {table.model._meta.label} is kept on another database than the model.",
            hint="Let the routers keep both on one, with use_base_model_db=True on a HistoricalRecords.",
            obj=table.model,
            id="enterprise_repo.E008",
        )
        for model in dict.fromkeys(model for model, _ in _repositories(app_configs))
        for table in auditing.tables.tables_of(model)
        if table.model is model and _is_elsewhere(table)
    ]


def _is_elsewhere(table: auditing.tables.HistoryTable) -> bool:
    alias = router.db_for_write(table.model)
    if not table.records.use_base_model_db and router.db_for_write(table.history) != alias:
        return True
    return router.allow_migrate_model(alias, table.model) and not router.allow_migrate_model(alias, table.history)


def check_retention(app_configs: Sequence[Any] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """A retention policy is on a model that has a history."""
    return [
        Warning(
            f"{model._meta.label} has a retention policy and no history.",
            hint="Give the model an AuditTrail, or take the policy from its repository.",
            obj=model,
            id="enterprise_repo.W005",
        )
        for model in dict.fromkeys(model for model, repository in _repositories(app_configs) if repository.retention)
        if not auditing.tables.has_history(model)
    ]


def check_collations(
    app_configs: Sequence[Any] | None = None, databases: Iterable[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Where the database compares text without regard to case, equality and order do so too."""
    problems: list[CheckMessage] = []
    for alias in databases or ():
        connection = connections[alias]
        if connection.vendor == "mysql":
            for model in dict.fromkeys(model for model, _ in _repositories(app_configs)):
                problems += _case_insensitive_columns(model, connection)
        elif connection.vendor == "postgresql":
            problems += _ascii_folding(connection, alias)
    return problems


def _foreign_queryset(model: type[Model], repository: Repository[Any]) -> CheckMessage:
    name = repository._queryset_class.__name__
    return Error(
        f"{model._meta.label}: the querysets of its Repository are {name}, which knows no verbs.",
        hint=f"Let {name} inherit RepositoryQuerySet, or RepositoryQuerySetMixin before another queryset class.",
        obj=model,
        id="enterprise_repo.E007",
    )


def _repositories(app_configs: Sequence[Any] | None) -> Iterator[tuple[type[Model], Repository[Any]]]:
    for config in app_configs or apps.get_app_configs():
        for model in config.get_models():
            for manager in model._meta.managers:
                if isinstance(manager, Repository):
                    yield model, manager


def _hiding_base_manager(model: type[Model]) -> list[CheckMessage]:
    base = model._base_manager
    if not isinstance(base, Repository) or base.shows_deleted or marker_of(model, base.soft_delete) is None:
        return []
    return [
        Error(
            f"The base manager of {model._meta.label} hides deleted rows.",
            hint=(
                "Django saves and follows foreign keys with it, and would insert a deleted row again. "
                "Leave Meta.base_manager_name to RepositoryModel."
            ),
            obj=model,
            id="enterprise_repo.E006",
        )
    ]


def _cascading_children(model: type[Model]) -> Iterator[CheckMessage]:
    for relation in model._meta.get_fields(include_hidden=True):
        if isinstance(relation, ForeignObjectRel) and _cascades(relation):
            child: Any = relation.related_model
            if getattr(relation, "parent_link", False) or child._meta.auto_created:
                continue
            yield Warning(
                f"Rows of {child._meta.label} stay when the {model._meta.label} they refer to is soft-deleted.",
                hint=(
                    f"{child._meta.label}.{relation.field.name} says CASCADE, which a soft delete does not follow "
                    "yet. Use PROTECT, or delete the rows yourself."
                ),
                obj=child,
                id="enterprise_repo.W001",
            )


def _cascades(relation: ForeignObjectRel) -> bool:
    # Django 6.1 lets the database cascade; a soft delete is an UPDATE and sets nothing off there either.
    database_cascade = getattr(models, "DB_CASCADE", None)
    on_delete = getattr(relation, "on_delete", None)
    return on_delete is models.CASCADE or (database_cascade is not None and on_delete is database_cascade)


def _manager_alone(model: type[Model], deletable: bool) -> CheckMessage:
    what = "instance.delete() deletes for good" if deletable and model_marker(model) else "save() is Django's own"
    return Warning(
        f"{model._meta.label} has a Repository but is no RepositoryModel: {what}.",
        hint="Inherit RepositoryModel, SoftDeleteModel or VersionedModel so that every save and delete is covered.",
        obj=model,
        id="enterprise_repo.W002",
    )


def _case_insensitive_columns(model: type[Model], connection: Any) -> Iterator[CheckMessage]:
    text = {
        field.column: field for field in model._meta.local_concrete_fields if isinstance(field, CharField | TextField)
    }
    if not text or not model._meta.managed:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name, collation_name FROM information_schema.columns "
            "WHERE table_schema = DATABASE() AND table_name = %s",
            [model._meta.db_table],
        )
        collations = dict(cursor.fetchall())
    for column, field in text.items():
        collation = collations.get(column)
        if collation and "_ci" in collation:
            yield Warning(
                f"{model._meta.label}.{field.name} compares without regard to case ({collation}).",
                hint="eq, in and order follow the column; like and ilike don't. Set db_collation where case matters.",
                obj=model,
                id="enterprise_repo.W003",
            )


def _ascii_folding(connection: Any, alias: str) -> Iterator[CheckMessage]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT lower('Ä') = 'ä'")
        (folds,) = cursor.fetchone()
    if not folds:
        yield Warning(
            f"The database of {alias!r} folds the case of ASCII letters only.",
            hint="ilike and its kin follow the database's LC_CTYPE. Create the database with a UTF-8 one.",
            id="enterprise_repo.W004",
        )
