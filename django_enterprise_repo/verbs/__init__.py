"""The verbs, written once for repositories and querysets alike."""

from .reading import ReadVerbs
from .rows import Filters, OrderBy, Policies
from .writing import WriteVerbs

__all__ = ["Filters", "OrderBy", "Policies", "ReadVerbs", "WriteVerbs"]
