"""The verbs, written once for repositories and querysets alike."""

from .entities import EntityVerbs
from .history import HistoryVerbs
from .reading import ReadVerbs
from .rows import Policies
from .sets import SetVerbs

__all__ = ["EntityVerbs", "HistoryVerbs", "Policies", "ReadVerbs", "SetVerbs"]
