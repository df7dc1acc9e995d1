"""What the guard decides and why, for who listens to DEBUG."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any


def tell(logger: logging.Logger, event: str, **told: Any) -> None:
    """Write one decision down where DEBUG is on: kinds, numbers and names of the project's own, never values.

    A log that raises must not change how a call ends. Whoever writes the operation itself down reports such a log.
    """
    if logger.isEnabledFor(logging.DEBUG):
        with suppress(Exception):
            logger.debug(event, extra=told, stacklevel=2)
