"""Ids that we give out: UUID version 7 (RFC 9562), whose first 48 bits are the UTC time in milliseconds."""

import hashlib
import os
import uuid


def uuid7(now_ms: int) -> str:
    """A new UUIDv7 for `now_ms`; ids of one millisecond are ordered at random."""
    value = (now_ms & 0xFFFF_FFFF_FFFF) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def time_of(event_id: str) -> int | None:
    """Milliseconds in a UUIDv7; None for any other id."""
    try:
        parsed = uuid.UUID(event_id)
    except ValueError:
        return None
    return parsed.int >> 80 if parsed.version == 7 else None


def uuid8(*parts: str) -> str:
    """A UUID (version 8, RFC 9562) that is the same whenever the same thing is said again."""
    digest = hashlib.blake2b("\0".join(parts).encode(), digest_size=16).digest()
    value = int.from_bytes(digest, "big") & ~(0xF << 76) & ~(0x3 << 62) | 0x8 << 76 | 0x2 << 62
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
