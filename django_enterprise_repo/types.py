"""Names for the types that callers write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from django.db.models import Model, Prefetch

#: The model of a repository.
T = TypeVar("T", bound=Model)

#: A dict filter as clients write it.
Filters = Mapping[str, Any]

#: ``("price:desc", "name")``.
OrderBy = Sequence[str]

#: Relations to load with the rows.
Load = Iterable["str | Prefetch[Any]"]
