"""Ids that we give out: UUID version 7 (RFC 9562), whose first 48 bits are the UTC time in milliseconds."""

import hashlib
import os
import uuid

_CHANCES: list[str] = []  # asking the system for each hands the interpreter to another thread: 7 % of a post
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}  # its first two bits are 10


def uuid7(now_ms: int) -> str:
    """A new UUIDv7 for `now_ms`; ids of one millisecond are ordered at random."""
    time, chance = f"{now_ms & 0xFFFF_FFFF_FFFF:012x}", _chance()
    variant = _VARIANT[chance[0]]
    return f"{time[:8]}-{time[8:]}-7{chance[1:4]}-{variant}{chance[4:7]}-{chance[8:]}"


def _chance() -> str:
    """Ten random bytes in hex, none of them given out twice, by whichever thread."""
    try:
        return _CHANCES.pop()
    except IndexError:
        drawn = os.urandom(2_560).hex()
        _CHANCES.extend(drawn[at : at + 20] for at in range(20, len(drawn), 20))
        return drawn[:20]


os.register_at_fork(after_in_child=_CHANCES.clear)


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
