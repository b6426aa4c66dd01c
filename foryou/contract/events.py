"""The event as apps send it, and what each event type needs and means. Times are UTC milliseconds since 1970; apps may
also say them as RFC 3339 with a zone."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import msgspec

from foryou.contract.relations import Relation, relation_of

MAX_BODY_BYTES = 1 << 20
MAX_BATCH = 1_000
MAX_DEPTH = 16
MAX_PROPERTIES = 32
MAX_HASHTAGS = 32
EARLIEST_MS = 946_684_800_000  # 2000-01-01: an older clock is broken, not late
FUTURE_MS = 86_400_000  # a client's clock may run a day ahead; features clamp to the receive time

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f-\x9f|]+\Z")]
Label = Annotated[
    str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f-\x9f|]+\Z")
]  # part of a key
Word = Annotated[str, msgspec.Meta(max_length=64, pattern=r"^[^\x00-\x1f\x7f-\x9f]*\Z")]
Text = Annotated[str, msgspec.Meta(max_length=256, pattern=r"^[^\x00]*\Z")]
Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 31)]
Small = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
Millis = Annotated[int, msgspec.Meta(ge=0, le=86_400_000)]  # a watched or stalled time: at most a day
Time = int | Annotated[str, msgspec.Meta(max_length=40)]  # ms since epoch, or RFC 3339


class Lane(StrEnum):
    """The four topics that accepted events go to, but for flagged ones, which are kept apart (`topics.FLAGGED`)."""

    ACTION = "events.action.v1"
    CONTEXT = "events.context.v1"
    CONTENT = "events.content.v1"
    ACCOUNT = "events.account.v1"


@dataclass(frozen=True)
class EventType:
    """What one event type is: its lane, the fields it cannot do without, the relation it speaks about."""

    name: str
    lane: Lane
    requires: tuple[str, ...] = ()
    relation: Relation | None = None


def _types() -> dict[str, EventType]:
    about_a_video = ("video_id",)
    about_a_person = ("target_user_id",)
    actions: dict[str, tuple[str, ...]] = {
        **dict.fromkeys(("impression", "play_start", "play_progress", "view_end"), about_a_video),
        **dict.fromkeys(("like", "unlike", "comment", "share", "unshare", "duet", "stitch"), about_a_video),
        **dict.fromkeys(("follow", "unfollow", "block", "unblock", "hide_creator", "unhide_creator"), about_a_person),
        "not_interested": about_a_video,
        "report": (),
        "profile_visit": about_a_person,
        "search": ("query",),
        "search_click": about_a_video,
    }
    actions["play_progress"] = actions["view_end"] = ("video_id", "watch_ms")
    lanes: dict[Lane, dict[str, tuple[str, ...]]] = {
        Lane.ACTION: actions,
        Lane.CONTEXT: dict.fromkeys(
            ("app_open", "app_close", "network_change", "location_change", "playback_error"), ()
        ),
        Lane.CONTENT: {
            "video_published": ("video_id", "creator_id", "duration_ms", "category"),
            "video_moderated": ("video_id", "moderation"),
            **dict.fromkeys(("video_rendition_ready", "video_updated", "video_removed"), about_a_video),
        },
        Lane.ACCOUNT: dict.fromkeys(
            ("account_created", "profile_updated", "consent_changed", "account_deactivated"), ("user_id",)
        ),
    }
    return {
        name: EventType(name, lane, requires, relation_of(name))
        for lane, types in lanes.items()
        for name, requires in types.items()
    }


TYPES: dict[str, EventType] = _types()


def lane_of(event_type: str) -> Lane:
    """The lane of a known event type. Raises KeyError for an unknown one."""
    return TYPES[event_type].lane


class Context(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where the tap happened."""

    network: Word | None = None
    device: Word | None = None
    os: Word | None = None
    app_version: Word | None = None
    locale: Word | None = None
    region: Word | None = None


class ClientEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One event on the wire, any lane. Raw ids in here must not outlive the request: see `Identity`."""

    event_type: Word
    event_time: Time
    event_id: Word | None = None
    sent_at: Time | None = None
    user_id: Id | None = None
    device_id: Id | None = None
    session_id: Id | None = None
    seq: Count | None = None
    video_id: Id | None = None
    target_user_id: Id | None = None
    impression_id: Id | None = None
    request_id: Id | None = None
    position: Small | None = None
    watch_ms: Millis | None = None
    duration_ms: Millis | None = None
    loops: Small | None = None
    text_length: Small | None = None
    query: Text | None = None
    startup_ms: Millis | None = None
    rebuffer_ms: Millis | None = None
    context: Context | None = None
    consent: dict[Word, bool] | None = None
    properties: dict[Word, Text] | None = None
    # content
    creator_id: Id | None = None
    category: Label | None = None
    hashtags: Annotated[list[Word], msgspec.Meta(max_length=MAX_HASHTAGS)] | None = None
    title: Text | None = None
    language: Word | None = None
    region: Word | None = None
    music_id: Word | None = None
    published_at: Time | None = None
    moderation: Word | None = None
    # account
    birth_year: Annotated[int, msgspec.Meta(ge=1900, le=2100)] | None = None
    jurisdiction: Word | None = None
