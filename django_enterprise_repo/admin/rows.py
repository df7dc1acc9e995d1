"""What the admin asks of a model: which repository writes it, and what stands in the way of a deletion."""

from __future__ import annotations

from typing import Any

from django.db.models import Model, ProtectedError, QuerySet, RestrictedError

from ..auditing.history import takes_write_path
from ..repository import Repository
from ..soft_delete.markers import Marker, model_marker
from ..soft_delete.protection import refuse_protected


def repository_of(model: type[Model]) -> Repository[Any] | None:
    """The repository that writes the rows of ``model``: its default manager, or else the first there is."""
    managers = (model._default_manager, *model._meta.managers)
    return next((manager for manager in managers if isinstance(manager, Repository)), None)


def repository_beside(model: type[Model]) -> Repository[Any] | None:
    """The repository that has to delete the rows of ``model``, as their own ``delete()`` is Django's."""
    return None if takes_write_path(model) else repository_of(model)


def soft_marker(model: type[Model]) -> Marker | None:
    """The marker of ``model``, if it has a repository that can set it."""
    return None if repository_of(model) is None else model_marker(model)


def protectors(rows: QuerySet[Any]) -> list[Model]:
    """Some of the living rows that refuse a soft delete of ``rows``."""
    try:
        refuse_protected(rows)
    except ProtectedError as error:
        return list(error.protected_objects)
    except RestrictedError as error:
        return list(error.restricted_objects)
    return []
