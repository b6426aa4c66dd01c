"""A seeded stream of accepted events, as the collector would hand them on, with everything that goes wrong in it."""

import random
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from foryou.contract.lateness import LATENESS_BOUND_MS
from foryou.contract.schemas import field_names

Event = dict[str, Any]

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
TYPES = ["impression", "play_start", "view_end", "like", "unlike", "share", "unshare", "comment", "follow", "unfollow"]
TYPES += ["not_interested", "app_open", "play_progress"]
WEIGHTS = [18, 20, 30, 8, 5, 3, 2, 3, 3, 2, 1, 1, 15]


def videos(app_id: str, count: int, now_ms: int) -> list[Event]:
    """`count` publications; every seventh video belongs to one hot category."""
    return [
        {
            **dict.fromkeys(field_names("content")),
            "event_id": str(UUID(int=0xC0FFEE << 64 | number)),
            "app_id": app_id,
            "event_type": "video_published",
            "video_id": f"v{number}",
            "event_time": now_ms,
            "received_at": now_ms,
            "creator_key": f"uk_creator{number % 97}",
            "duration_ms": 1_500 if number % 50 == 0 else 5_000 + number % 60 * 1_000,
            "category": "hot" if number % 7 == 0 else f"c{number % 31}",
        }
        for number in range(count)
    ]


def actions(
    app_id: str, seed: int, count: int, now_ms: int, people: int = 2_000, catalogue: int = 1_000
) -> Iterator[Event]:
    """`count` first copies, received within the last `count` ms before `now_ms`, with late ones, repeats, relations
    and plays in every order. A repeat comes after its original, up to thousands of events later; received_at grows.
    """
    rng = random.Random(seed)
    recent: list[Event] = []
    for number in range(count):
        received_at = now_ms - count + number
        event = _action(rng, app_id, seed, number, received_at, people, catalogue)
        yield event
        if rng.random() < 0.02:
            recent.append(event)
        if recent and rng.random() < 0.015:
            yield {**rng.choice(recent), "received_at": received_at}


def _action(
    rng: random.Random, app_id: str, seed: int, number: int, received_at: int, people: int, catalogue: int
) -> Event:
    # Person 0 is busier than a person can be, so that a tile's list is cut. It has no context events: those come by
    # another topic, and the cut goes by order of arrival.
    person = rng.randrange(people) if rng.random() < 0.97 else 0
    event_type = rng.choices(TYPES, WEIGHTS)[0]
    if person == 0 and event_type == "app_open":
        event_type = "impression"
    # A person likes and un-likes few videos often, so that words on one relation meet in every order.
    about = (
        int(catalogue * rng.random() ** 3) if event_type not in ("like", "unlike", "share", "unshare") else person % 5
    )
    event = dict.fromkeys(field_names("event")) | {
        "event_id": str(UUID(int=rng.getrandbits(128), version=4)),
        "app_id": app_id,
        "event_type": event_type,
        "user_key": f"uk_person{person}",
        "session_id": f"s{seed}-{person}",
        "seq": number,
        "event_time": received_at - _lag(rng),
        "received_at": received_at,
        "properties": {},
    }
    if event_type in ("follow", "unfollow"):
        event["target_user_key"] = f"uk_creator{rng.randrange(3)}"
    elif event_type != "app_open":
        event["video_id"] = f"v{about + rng.randrange(3)}"
    if event_type in ("play_progress", "view_end"):
        if rng.random() < 0.8:  # of few plays at a time, so that their heartbeats meet in every order
            play = rng.randrange(3)
            event["impression_id"] = f"i{seed}-{person}-{event['event_time'] // (6 * HOUR)}-{play}"
            event["video_id"] = f"v{(person + play) % catalogue}" if rng.random() < 0.95 else event["video_id"]
        event["watch_ms"] = rng.choice([300, 1_999, 2_000, rng.randrange(60_000)])
    return event


def _lag(rng: random.Random) -> int:
    """Received minus event time: mostly a second, sometimes hours, sometimes on either side of the bound; or a clock
    that runs ahead.
    """
    draw = rng.random()
    if draw < 0.90:
        return rng.randrange(2 * SECOND)
    if draw < 0.97:
        return rng.randrange(40 * MINUTE)
    if draw < 0.98:
        return rng.randrange(20 * HOUR)
    if draw < 0.985:
        return LATENESS_BOUND_MS + rng.randrange(1, 3 * 24 * HOUR)
    if draw < 0.988:
        return LATENESS_BOUND_MS + rng.choice([-1, 0, 1])
    return -rng.randrange(10 * MINUTE)
