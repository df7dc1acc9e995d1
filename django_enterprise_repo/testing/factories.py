"""Factories that create through the repository, so that tests take the write path too."""

from __future__ import annotations

from typing import Any

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Model
from factory.django import DjangoModelFactory

from ..repository import Repository


class RepositoryFactory(DjangoModelFactory):  # type: ignore[type-arg]  # generic in its stubs only
    """A factory-boy factory whose ``create`` is the repository's ``add``.

    ``Meta.database`` names the alias to write to. Everything else is ``DjangoModelFactory``'s, its
    ``django_get_or_create`` included.
    """

    class Meta:
        abstract = True

    @classmethod
    def _create(cls, model_class: type[Model], *args: Any, **kwargs: Any) -> Any:
        options: Any = cls._meta
        if options.django_get_or_create:
            return super()._create(model_class, *args, **kwargs)  # type: ignore[no-untyped-call]
        repository = model_class._default_manager
        if not isinstance(repository, Repository):
            raise TypeError(f"The default manager of {model_class._meta.label} is no Repository.")
        alias = None if options.database == DEFAULT_DB_ALIAS else options.database
        return repository.add(model_class(*args, **kwargs), using=alias)
