"""Ids that tie together what one request caused, in this process and in others."""

from __future__ import annotations

import re

from .identifiers import uuid7

#: Most characters of a correlation id; the width of the history's column.
MAX_LENGTH = 128

# What may be written to logs, headers and columns without a second thought.
_WELL_FORMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~:/+=@-]{0,127}", re.ASCII)
# W3C Trace Context, section 3.2: versions after 00 may append parts, and ff is no version.
_TRACEPARENT = re.compile(r"(?!ff|00.{53}-)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.{0,200})?", re.ASCII)


def new_correlation_id() -> str:
    """A correlation id of our own: a UUID version 7 without hyphens, as long as a trace id."""
    identifier: str = uuid7().hex
    return identifier


def received_correlation_id(request_id: str | None, traceparent: str | None) -> str | None:
    """The id that a caller sent, ``None`` where none is well-formed.

    Args:
        request_id: value of ``X-Request-ID`` or the header that stands for it.
        traceparent: value of ``traceparent``, of which the trace id is taken (W3C Trace Context).
    """
    if request_id and _WELL_FORMED.fullmatch(request_id):
        return request_id
    found = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    if found is None or not int(found[1], 16) or not int(found[2], 16):
        return None
    return found[1]
