"""Ids that we give out: UUID version 7 (RFC 9562), whose first 48 bits are the UTC time in milliseconds."""

import hashlib
import os
import uuid

_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}  # its first two bits are 10


def uuid7(now_ms: int) -> str:
    """A new UUIDv7 for `now_ms`; ids of one millisecond are ordered at random."""
    time, chance = f"{now_ms & 0xFFFF_FFFF_FFFF:012x}", os.urandom(10).hex()
    variant = _VARIANT[chance[0]]
    return f"{time[:8]}-{time[8:]}-7{chance[1:4]}-{variant}{chance[4:7]}-{chance[8:]}"


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
