"""How the data layer is: probes that always answer in time, and reports that tell nobody a secret.

:func:`examine` asks the probes. The views in :mod:`.urls`, the middleware in :mod:`.middleware`, the command
``repository_health``, ``repo.health()`` and the plug-in for django-health-check show what it answers.
"""

from __future__ import annotations

from .examination import CHECKS, examine
from .report import Finding, Report, Status

__all__ = ["CHECKS", "Finding", "Report", "Status", "examine"]
