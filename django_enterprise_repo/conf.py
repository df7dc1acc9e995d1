"""The settings dict ``ENTERPRISE_REPO``: project-wide defaults, read live."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings


def page_limit() -> int:
    """Most rows a page may have where a repository's policy doesn't say: ``PAGE_LIMIT``, 100."""
    limit: int = _setting("PAGE_LIMIT", 100)
    return limit


def _setting(name: str, default: Any) -> Any:
    return getattr(settings, "ENTERPRISE_REPO", {}).get(name, default)


def _positive_int(value: Any) -> str | None:
    return None if type(value) is int and value > 0 else "is not a positive int"


#: What may be set, and what says that a value is wrong.
KNOWN_SETTINGS: Mapping[str, Callable[[Any], str | None]] = {
    "PAGE_LIMIT": _positive_int,
}
