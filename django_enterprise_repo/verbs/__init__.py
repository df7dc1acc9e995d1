"""The verbs, written once for repositories and querysets alike."""

from .reading import ReadVerbs
from .rows import Policies
from .writing import WriteVerbs

__all__ = ["Policies", "ReadVerbs", "WriteVerbs"]
