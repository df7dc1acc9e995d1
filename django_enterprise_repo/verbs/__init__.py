"""The verbs, written once for repositories and querysets alike."""

from .entities import EntityVerbs
from .reading import ReadVerbs
from .rows import Policies
from .sets import SetVerbs

__all__ = ["EntityVerbs", "Policies", "ReadVerbs", "SetVerbs"]
