"""Time-ordered identifiers (UUID version 7, RFC 9562 section 5.7)."""

from __future__ import annotations

import os
import time
import uuid

if hasattr(uuid, "uuid7"):  # Python 3.14
    uuid7 = uuid.uuid7
else:

    def uuid7() -> uuid.UUID:
        """A new UUID that sorts by its moment of creation, to a quarter of a microsecond, and is random below that."""
        milliseconds, rest = divmod(time.time_ns(), 1_000_000)
        fraction = rest * 4096 // 1_000_000  # the method of RFC 9562 section 6.2 for clocks finer than a millisecond
        random = int.from_bytes(os.urandom(8), "big") >> 2
        return uuid.UUID(int=(milliseconds & (1 << 48) - 1) << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | random)
