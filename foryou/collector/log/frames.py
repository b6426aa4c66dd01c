"""Frames: how records lie in a segment, and how they are found again behind bytes that went bad. Pure.

A frame is the segment's marker (8 bytes), its number in the segment, the payload's length, a CRC-32 of the three, and
the payload: all records of one post. The marker is drawn for each segment and is part of its file's name. No client
can know it, so no body that lies in a dead letter can be taken for a frame, and what an older file left on a block of
the disk cannot either.
"""

import struct
import zlib
from dataclasses import dataclass

from foryou.collector.log.event_log import MAX_FRAME_BYTES

MARKER_BYTES = 8
_NUMBERED = struct.Struct("<II")
_SUM = struct.Struct("<I")
_HEAD = struct.Struct("<8sIII")
HEAD_BYTES = _HEAD.size


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame that checks: where it begins and ends, its number in the segment, its payload."""

    at: int
    end: int
    number: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Bad:
    """Bytes that are no frame, though a frame or the segment's end follows."""

    at: int
    end: int


@dataclass(frozen=True, slots=True)
class Scan:
    """What lies in a piece of a segment, in order; `next_at`: where to look when there is more."""

    found: list[Frame | Bad]
    next_at: int


def frame(marker: bytes, number: int, payload: bytes) -> bytes:
    """The bytes of a frame."""
    numbered = _NUMBERED.pack(number, len(payload))
    return b"".join((marker, numbered, _SUM.pack(zlib.crc32(payload, zlib.crc32(numbered))), payload))


def scan(data: bytes, marker: bytes, begin: int = 0, *, ended: bool) -> Scan:
    """The frames in `data`, which begins at offset `begin` of its segment. `ended`: nothing will ever follow.

    What does not check is bad only once a frame that does follows it, or the segment has ended: until then it may be
    a frame that is being written.
    """
    found: list[Frame | Bad] = []
    at = 0
    while at < len(data):
        here = _frame_at(data, at, marker)
        if here is None:
            behind = _next_frame(data, at + 1, marker)
            if behind is None and not ended:
                break
            end = len(data) if behind is None else behind
            found.append(Bad(begin + at, begin + end))
            at = end
            continue
        number, start, end = here
        found.append(Frame(begin + at, begin + end, number, data[start:end]))
        at = end
    return Scan(found, begin + at)


def _next_frame(data: bytes, at: int, marker: bytes) -> int | None:
    at = data.find(marker, at)
    while at >= 0:
        if _frame_at(data, at, marker) is not None:
            return at
        at = data.find(marker, at + 1)
    return None


def _frame_at(data: bytes, at: int, marker: bytes) -> tuple[int, int, int] | None:
    """(number, start and end of the payload) when a whole frame that checks begins there."""
    start = at + HEAD_BYTES
    if start > len(data):
        return None
    said, number, length, check = _HEAD.unpack_from(data, at)
    end = start + length
    if said != marker or length > MAX_FRAME_BYTES or end > len(data):
        return None
    view = memoryview(data)
    return (number, start, end) if zlib.crc32(view[start:end], zlib.crc32(view[at + 8 : at + 16])) == check else None
