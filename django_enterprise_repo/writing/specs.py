"""Operations that a model begins by itself, without a repository in hand."""

from __future__ import annotations

from typing import Any

from django.db.models import Model

from ..operations import OperationSpec


def write_spec(name: str, model: type[Model], alias: str) -> OperationSpec:
    """A write of ``model``, guarded and tried again as its default repository says, where it has one."""
    repository: Any = model._default_manager
    if not hasattr(repository, "_own_policies"):
        return OperationSpec(name, model, alias, "write")
    spec: OperationSpec = repository._own_policies().writing(name, model, alias)
    return spec
