"""A stream of events to try things on: seeded, in order of arrival, with everything that goes wrong on the way in.

Copies, late events, clocks ahead, likes taken back, heartbeats of plays, unknown lengths, missing categories. For tests
and examples.
"""

from __future__ import annotations

from random import Random
from typing import Any
from zlib import crc32

from foryou.features.operations import DAY, HOUR, MINUTE

START = 1_800_000_000_000 // DAY * DAY

_TYPES = {
    "view_end": 30, "play_progress": 20, "play_start": 20, "impression": 10, "like": 14, "unlike": 8, "share": 4,
    "unshare": 3, "comment": 3, "not_interested": 2, "follow": 2, "unfollow": 1, "network_change": 2, "app_open": 1,
}  # fmt: skip
_OF_NO_VIDEO = {"follow", "unfollow", "network_change", "app_open"}
_LATE = (*[0] * 20, 1000, MINUTE, 10 * MINUTE, 2 * HOUR, 10 * HOUR, DAY + 1, 30 * HOUR)
_PAUSES = (0, 0, 50, 400, 1500, 20_000)


def stream(seed: int, events: int, people: int = 12, videos: int = 30, start: int = START) -> list[dict[str, Any]]:
    """Events as Flink meets them after the blend, by `received_at`; about 3 % copies and 7 % later than a day."""
    chance = Random(seed)
    found: list[dict[str, Any]] = []
    now = start
    for number in range(events):
        now += chance.choice(_PAUSES) if chance.random() > 0.01 else 40 * MINUTE
        if found and chance.random() < 0.03:
            found.append(chance.choice(found[-50:]) | {"received_at": now})
        else:
            found.append(_event(chance, f"{seed:04x}-{number:08x}", now, people, videos))
    return found


def _event(chance: Random, event_id: str, now: int, people: int, videos: int) -> dict[str, Any]:
    (kind,) = chance.choices(list(_TYPES), list(_TYPES.values()))
    watched = kind in ("view_end", "play_progress")
    person = chance.randrange(people)
    play = f"{person}-{now // (2 * HOUR)}-{chance.randrange(3)}" if watched and chance.random() < 0.8 else None
    video = None if kind in _OF_NO_VIDEO else chance.randrange(videos)
    if play is not None and chance.random() < 0.95:
        video = crc32(play.encode()) % videos  # one impression is one video, but for a client that is wrong
    return {
        "event_id": event_id,
        "app_id": "demo" if chance.random() < 0.9 else "other",
        "event_type": kind,
        "user_key": f"uk_{person}",
        "impression_id": play,
        "video_id": None if video is None else f"v{video}",
        "target_user_key": f"uk_{chance.randrange(people)}" if kind in ("follow", "unfollow") else None,
        "event_time": now - chance.choice(_LATE) if chance.random() < 0.97 else now + 5000,
        "received_at": now,
        "watch_ms": chance.choice([None, 0, 500, 1999, 2000, 9499, 9500, 10_000]) if watched else None,
        "duration_ms": chance.choice([None, 1500, 10_000]) if watched else None,
        "category": None if video is None or video % 7 == 0 else f"c{video % 5}",
        "creator_key": None if video is None else f"uk_{video % 9}",
        "video_duration_ms": None if video is None or video % 11 == 0 else 10_000,
    }
