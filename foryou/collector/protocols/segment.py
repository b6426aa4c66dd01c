"""The Segment HTTP API, which the libraries of Segment and of RudderStack speak.

The answer is Segment's: 200 as soon as the body can be read and its key is known. An event that is refused does not
fail its batch, since these libraries would drop or repeat the whole of it: it is a dead letter, and counted.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from foryou.collector.protocols import mapping
from foryou.collector.protocols.mapping import first, member, members
from foryou.collector.protocols.people import profile_of, screen_of
from foryou.collector.protocols.shape import (
    Arrived,
    Item,
    Parcel,
    Protocol,
    Verdicts,
    counted,
    decoded,
    translated,
    unmapped,
)
from foryou.contract.gate import Accepted, Refused
from foryou.service.problem import Problem
from foryou.service.web import Response, json_response

CALLS = ("track", "identify", "page", "screen", "alias", "group")

# Names of Segment's own specifications, beside which every name of ours is taken in any spelling.
NAMES = {
    "video_playback_started": "play_start",
    "video_content_started": "play_start",
    "video_playback_paused": "play_progress",
    "video_playback_resumed": "play_progress",
    "video_playback_seek_started": "play_progress",
    "video_playback_seek_completed": "play_progress",
    "video_playback_buffer_started": "play_progress",
    "video_playback_buffer_completed": "play_progress",
    "video_content_playing": "play_progress",
    "video_content_completed": "view_end",
    "video_playback_completed": "view_end",
    "video_playback_interrupted": "view_end",
    "application_opened": "app_open",
    "application_foregrounded": "app_open",
    "application_backgrounded": "app_close",
    "products_searched": "search",
    "signed_up": "account_created",
    "account_deleted": "account_deactivated",
}
# Both names of a start and all three of an end are one start and one end of a playback: they share an event id.
ONCE = {name: kind for name, kind in NAMES.items() if name.startswith("video_") and kind in ("play_start", "view_end")}
_REMEDY = (
    "name the event as one of our event types, or as one of Segment's video specification; docs/protocols.md lists them"
)
_VIDEO = frozenset(("asset_id", "assetId", "content_asset_id", "content_asset_ids", "session_id", "sessionId")) | {
    "position",
    "total_length",
    "totalLength",
}


class _Batch(msgspec.Struct):
    batch: list[msgspec.Raw]
    writeKey: str | None = None  # noqa: N815 - Segment's
    sentAt: Any = None  # noqa: N815
    context: Any = None


class _One(msgspec.Struct):
    writeKey: str | None = None  # noqa: N815


def read_batch(arrived: Arrived) -> Parcel:
    """The events of /v1/batch. A single event, as a dead letter keeps it, is a batch of one. Raises Unsplittable."""
    body = arrived.body.strip()
    if not decoded(body, dict[str, msgspec.Raw]).keys() >= {"batch"}:
        return read_one(None)(arrived)
    batch = decoded(body, _Batch)
    originals = counted([bytes(raw) for raw in batch.batch], "batch")
    around = {"sentAt": batch.sentAt, "context": batch.context}
    events = [_event(raw, None, around, arrived.now_ms) for raw in originals]
    return Parcel(events, originals, key=batch.writeKey)


def read_one(call: str | None) -> Callable[[Arrived], Parcel]:
    """The reader of /v1/track and its like: one event, whose `type` is the path's."""

    def read(arrived: Arrived) -> Parcel:
        body = arrived.body.strip()
        key = decoded(body, _One).writeKey
        return Parcel([_event(body, call, {}, arrived.now_ms)], [body], single=True, key=key)

    return read


def again_as(call: str | None) -> Callable[[bytes, int], bytes | Refused]:
    """The reader of one item's bytes once more; what `call` it is, unless the path says so, is in the bytes."""
    return lambda original, now_ms: _event(original, call, {}, now_ms)


def _event(original: bytes, call: str | None, around: Mapping[str, Any], now_ms: int) -> bytes | Refused:
    return translated(original, lambda item: event_of(item, call or item.get("type"), around, now_ms))


def event_of(item: Mapping[str, Any], call: Any, around: Mapping[str, Any], now_ms: int) -> Item | Refused:
    """Our event of a Segment call; `around` is what the batch says for all of its items."""
    if call == "track":
        kind = mapping.event_type(item.get("event"), NAMES)
        if kind is None:
            return unmapped(f"{_shown(item.get('event'))}", _REMEDY)
        event = {**_common(item, around, now_ms), "event_type": kind}
        _track(event, item)
        return event
    event = _common(item, around, now_ms)
    if call == "identify":
        return profile_of(event, {**members(item, "context", "traits"), **members(item, "traits")})
    if call in ("page", "screen"):
        name = first(item.get("name"), member(item, "properties", "name"), member(item, "properties", "path"))
        return screen_of(event, name, members(item, "properties"))
    return unmapped(f"a call of type {_shown(call)}", f"send {', '.join(CALLS[:4])}; merge people in your own systems")


def _common(item: Mapping[str, Any], around: Mapping[str, Any], now_ms: int) -> dict[str, Any]:
    context = {**members(around, "context"), **members(item, "context")}
    sent_at = first(item.get("sentAt"), around.get("sentAt"))
    return {
        "event_id": mapping.event_id(item.get("messageId"), "segment"),
        "event_time": first(item.get("originalTimestamp"), item.get("timestamp"), sent_at, now_ms),
        "sent_at": sent_at,
        "user_id": mapping.text(first(item.get("userId"))),
        "device_id": mapping.text(first(item.get("anonymousId"), member(context, "device", "id"))),
        "session_id": mapping.text(first(context.get("sessionId"))),
        "context": mapping.context(
            network=_network(context.get("network")),
            device=first(member(context, "device", "model"), member(context, "device", "type")),
            os=" ".join(str(part) for name in ("name", "version") if (part := member(context, "os", name))) or None,
            app_version=member(context, "app", "version"),
            locale=context.get("locale"),
            region=member(context, "location", "country"),
        ),
        "consent": mapping.purposes(member(context, "consent", "categoryPreferences")),
    }


def _track(event: dict[str, Any], item: Mapping[str, Any]) -> None:
    properties, name = members(item, "properties"), mapping.snake(item["event"])
    of_video = name.startswith("video_") and name in NAMES
    if of_video:
        listed = first(properties.get("content_asset_ids"), properties.get("content_asset_id"))
        asset = first(properties.get("asset_id"), properties.get("assetId"), listed)
        event["video_id"] = mapping.text(asset[0] if isinstance(asset, list) and asset else asset)
        # Segment's session is one playback of one player: what we call an impression, not a visit to the app.
        event["impression_id"] = mapping.text(first(properties.get("session_id"), properties.get("sessionId")))
        event["duration_ms"] = mapping.ms_of_seconds(
            first(properties.get("total_length"), properties.get("totalLength"))
        )
        if event["event_type"] != "play_start":
            event["watch_ms"] = mapping.ms_of_seconds(properties.get("position"))
        for field in ("video_id", "impression_id", "watch_ms", "duration_ms"):  # said outright, it counts
            event[field] = first(properties.get(field), event.get(field))
    mapping.spread(properties, event, _VIDEO if of_video else frozenset())
    playback = event.get("impression_id")
    if name in ONCE and isinstance(playback, str) and isinstance(event.get("video_id"), str):
        event["event_id"] = mapping.same_id("segment playback", playback, event["video_id"], event["event_type"])


def _network(said: Any) -> Any:
    if not isinstance(said, Mapping):
        return said
    return next((name for name in ("wifi", "cellular", "bluetooth") if said.get(name) is True), said.get("carrier"))


def _shown(value: Any) -> str:
    return repr(value[:64]) if isinstance(value, str) else f"without a name ({type(value).__name__})"


def answer(verdicts: Verdicts, _: bool) -> Response:
    """Segment's 200, with the counts beside it."""
    accepted = sum(isinstance(verdict, Accepted) for verdict in verdicts)
    return json_response(200, {"success": True, "accepted": accepted, "rejected": len(verdicts) - accepted})


def refuse(problem: Problem) -> Problem:
    """Segment's libraries show `code` and `message`."""
    problem.more = {"success": False, "code": problem.reason, "message": problem.detail, **problem.more}
    return problem


def _door(path: str, read: Callable[[Arrived], Parcel], call: str | None = None) -> Protocol:
    return Protocol("Segment", (("POST", f"/v1/{path}"),), read, again_as(call), answer, refuse, key_in="writeKey")


SEGMENT = (_door("batch", read_batch), _door("import", read_batch), *(_door(c, read_one(c), c) for c in CALLS))
