"""The Snowplow tracker protocol: POST …/tp2 and the pixel GET /i.

Stock trackers can set the collector's address, a namespace and an app id. So the app id (`aid`) is the write key, where
no header and no query has one. Events are told apart by `e`; self-describing ones by the name in their schema.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

import msgspec

from foryou.collector.protocols import mapping
from foryou.collector.protocols.mapping import first, member, members, ms_of_seconds
from foryou.collector.protocols.people import screen_of
from foryou.collector.protocols.shape import (
    Arrived,
    Item,
    Parcel,
    Protocol,
    Verdicts,
    Way,
    counted,
    decoded,
    query_of,
    translated,
    unmapped,
)
from foryou.contract.events import TYPES
from foryou.contract.gate import Refused, read_object
from foryou.service.web import Response

PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
MEDIA = "com.snowplowanalytics.snowplow.media"

# The media vocabulary, by the schema's name without its `_event`, and by the `type` of the older media_player_event.
NAMES = {
    "play": "play_start",
    **dict.fromkeys(
        ("pause", "ping", "percent_progress", "percentprogress", "seek_start", "seek_end"), "play_progress"
    ),
    **dict.fromkeys(("seek", "seeked", "seeking", "buffer_start", "buffer_end", "waiting"), "play_progress"),
    **dict.fromkeys(("end", "ended"), "view_end"),
    "error": "playback_error",
    "application_install": "app_open",
    "application_foreground": "app_open",
    "application_background": "app_close",
}
_REMEDY = "send a self-describing or structured event named as one of our event types, or of the media vocabulary"
MOST_ENTITIES = 32  # of an event are looked at
_SPECIAL = frozenset(("media_player", "session", "client_session", "mobile_context", "application", "web_page"))


class _Payloads(msgspec.Struct):
    data: list[msgspec.Raw]
    schema: Any = None


def read_post(arrived: Arrived) -> Parcel:
    """The events of a payload_data body; a single event, as a dead letter keeps it, is one too. Raises Unsplittable."""
    body = arrived.body.strip()
    if "data" in decoded(body, dict[str, msgspec.Raw]):
        originals = counted([bytes(raw) for raw in decoded(body, _Payloads).data], "data")
    else:
        originals = [body]
    return _parcel(originals, arrived.now_ms)


def read_pixel(arrived: Arrived) -> Parcel:
    """The one event of a query. It is kept as the JSON that a post would have had. Raises Unsplittable."""
    said = {name: value for name, value in query_of(arrived.query_string).items() if name != "write_key"}
    return _parcel([json.dumps(said, ensure_ascii=False).encode("utf-8", "replace")], arrived.now_ms)


def _parcel(originals: list[bytes], now_ms: int) -> Parcel:
    key = member({"of": read_object(originals[0])}, "of", "aid")
    return Parcel(
        [again(raw, now_ms) for raw in originals],
        originals,
        single=len(originals) == 1,
        key=key if isinstance(key, str) else None,
    )


def again(original: bytes, now_ms: int) -> bytes | Refused:
    """The event of one item's bytes."""
    return translated(original, lambda item: event_of(item, now_ms))


def event_of(item: Mapping[str, Any], now_ms: int) -> Item | Refused:
    """Our event of one tracker payload."""
    entities = _entities(item)
    event = _common(item, entities, now_ms)
    kind = item.get("e")
    if kind in ("pv", "pp"):
        return screen_of(event, first(item.get("page"), item.get("url")), _own(entities))
    if kind == "se":
        return _structured(event, item, entities)
    if kind == "ue":
        return _self_describing(event, item, entities)
    return unmapped(f"e={kind[:16]!r}" if isinstance(kind, str) else "a payload without e", _REMEDY)


def _structured(event: dict[str, Any], item: Mapping[str, Any], entities: Mapping[str, Any]) -> Item | Refused:
    name = mapping.event_type(item.get("se_ac"), NAMES)
    if name is None:
        return unmapped(f"the action {str(item.get('se_ac'))[:64]!r}", _REMEDY)
    event["event_type"] = name
    needs = TYPES[name].requires
    about = next((field for field in ("target_user_id", "query", "video_id") if field in needs), "video_id")
    event[about] = mapping.text(first(item.get("se_la"), event.get(about)))
    if "watch_ms" in needs:
        event["watch_ms"] = first(mapping.fitted("watch_ms", item.get("se_va")), event.get("watch_ms"))
    extras = {"se_category": item.get("se_ca"), "se_property": item.get("se_pr"), "se_value": item.get("se_va")}
    mapping.spread({**_own(entities), **extras}, event)
    return event


def _self_describing(event: dict[str, Any], item: Mapping[str, Any], entities: Mapping[str, Any]) -> Item | Refused:
    outer = _json_of(item, "ue_pr", "ue_px")
    name, data = _name_of(member(outer, "data", "schema")), members(outer, "data", "data")
    if name == "screen_view":
        return screen_of(event, data.get("name"), {**data, **_own(entities)})
    said = data.get("type") if name == "media_player_event" else name.removesuffix("_event")
    kind = mapping.event_type(said, NAMES) or mapping.event_type(name, NAMES)
    if kind is None:
        return unmapped(f"a self-describing event {str(said or name)[:64]!r}", _REMEDY)
    event["event_type"] = kind
    mapping.spread({**data, **_own(entities)}, event)
    playback, video = event.get("impression_id"), event.get("video_id")
    if kind == "play_start" and isinstance(playback, str) and isinstance(video, str):
        # `play` is said after every pause: of one media session only the first is a start.
        event["event_id"] = mapping.same_id("snowplow playback", playback, video)
    return event


def _common(item: Mapping[str, Any], entities: Mapping[str, Any], now_ms: int) -> dict[str, Any]:
    mobile, session = members(entities, "mobile_context"), members(entities, "client_session")
    event = {
        "event_id": mapping.event_id(item.get("eid"), "snowplow"),
        "event_time": mapping.whole(first(item.get("ttm"), item.get("dtm"), now_ms)),
        "sent_at": mapping.whole(first(item.get("stm"))),
        "user_id": mapping.text(first(item.get("uid"))),
        "device_id": mapping.text(first(item.get("duid"), item.get("tnuid"), item.get("nuid"), session.get("userId"))),
        "session_id": mapping.text(first(item.get("sid"), session.get("sessionId"))),
        "context": mapping.context(
            network=first(mobile.get("networkType"), mobile.get("networkTechnology")),
            device=mobile.get("deviceModel"),
            os=" ".join(str(part) for name in ("osType", "osVersion") if (part := mobile.get(name))) or None,
            app_version=member(entities, "application", "version"),
            locale=first(item.get("lang"), mobile.get("language")),
        ),
    }
    return {**event, **_playback(entities)}


def _playback(entities: Mapping[str, Any]) -> dict[str, Any]:
    """What the media entities say: the player's state, and the session's time that was really played."""
    player, session = members(entities, "media_player"), members(entities, "session")
    if not player and not session:
        return {}
    own = _own(entities)
    return {
        "video_id": mapping.text(first(own.get("video_id"), own.get("videoId"), player.get("label"))),
        "impression_id": mapping.text(first(session.get("mediaSessionId"))),
        "watch_ms": ms_of_seconds(first(session.get("timePlayed"), player.get("currentTime"))),
        "duration_ms": ms_of_seconds(player.get("duration")),
        "rebuffer_ms": ms_of_seconds(first(session.get("timeBuffering"))),
    }


def _entities(item: Mapping[str, Any]) -> dict[str, Any]:
    """The contexts of an event: by the name in their schema, the data."""
    listed = _json_of(item, "co", "cx").get("data")
    found = listed[:MOST_ENTITIES] if isinstance(listed, list) else []
    return {_name_of(member({"of": entity}, "of", "schema")): members({"of": entity}, "of", "data") for entity in found}


def _own(entities: Mapping[str, Any]) -> dict[str, Any]:
    """What an app's own entities say."""
    return {k: v for name, data in entities.items() if name not in _SPECIAL for k, v in data.items()}


def _name_of(schema: Any) -> str:
    """The name in iglu:vendor/name/jsonschema/1-0-0."""
    parts = schema.split("/") if isinstance(schema, str) else []
    return parts[1][:128] if len(parts) > 1 else ""


def _json_of(item: Mapping[str, Any], plain: str, packed: str) -> Mapping[str, Any]:
    """The JSON object in a field, as it is or in base64url; an empty one where there is none."""
    said = first(item.get(plain), item.get(packed))
    if not isinstance(said, str):
        return said if isinstance(said, Mapping) else {}
    try:
        raw = said.encode() if item.get(plain) else base64.urlsafe_b64decode(said + "=" * (-len(said) % 4))
    except (binascii.Error, ValueError):
        return {}
    found = read_object(raw)
    return {} if isinstance(found, Refused) else found


def answer_post(_: Verdicts, __: bool) -> Response:
    """Snowplow's collector says ok to whatever it could read."""
    return Response(200, b"ok", "text/plain; charset=utf-8")


def answer_pixel(_: Verdicts, __: bool) -> Response:
    """A transparent pixel that nobody may keep."""
    return Response(200, PIXEL, "image/gif", (("cache-control", "no-cache, no-store, must-revalidate"),))


_TP2 = "/com.snowplowanalytics.snowplow/tp2"
SNOWPLOW = (
    Protocol("Snowplow", (("POST", _TP2),), read_post, again, answer_post, key_in="aid"),
    Protocol(
        "Snowplow",
        (("GET", "/i"), ("GET", "/ice.png")),
        read_pixel,
        again,
        answer_pixel,
        key_in="aid",
        kept_as=Way("POST", _TP2, "application/json"),  # of a pixel the JSON of its query is kept
    ),
)
