"""Time-ordered identifiers (UUID version 7, RFC 9562 section 5.7)."""

from __future__ import annotations

import os
import time
import uuid

if hasattr(uuid, "uuid7"):  # Python 3.14
    uuid7 = uuid.uuid7
else:

    def uuid7() -> uuid.UUID:
        """A new UUID that sorts by its moment of creation, in milliseconds, and is random below that."""
        milliseconds = time.time_ns() // 1_000_000
        random = int.from_bytes(os.urandom(10), "big")
        value = (milliseconds & ((1 << 48) - 1)) << 80 | random
        value = value & ~(0xF << 76) | 0x7 << 76
        value = value & ~(0x3 << 62) | 0x2 << 62
        return uuid.UUID(int=value)
