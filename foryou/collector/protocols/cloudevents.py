"""CloudEvents 1.0 over HTTP: structured, batched, binary.

An attribute says what an event is about, `data` says it in our fields. `type` is one of our event types, alone or as
the last part of a reversed domain name: `like`, `com.example.app.like`.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import msgspec

from foryou.collector.protocols import mapping
from foryou.collector.protocols.answers import verdict_each
from foryou.collector.protocols.shape import (
    Arrived,
    Item,
    Parcel,
    Protocol,
    Way,
    counted,
    decoded,
    refused_whole,
    translated,
)
from foryou.collector.split import media_type
from foryou.contract.events import TYPES
from foryou.contract.gate import Refused, read_object
from foryou.service.web import Headers

ONE, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"
ATTRIBUTES = ("id", "source", "specversion", "type", "subject", "time", "datacontenttype", "dataschema")
OURS = (
    "userid",
    "deviceid",
    "sessionid",
    "seq",
    "sentat",
)  # extension attributes: lower case and digits, no underscore
_JSON = ("application/json", "text/json", "")


def speaks(headers: Headers) -> bool:
    """Whether a request at the door of plain events is one of CloudEvents."""
    if headers.get("ce-specversion") is not None:
        return True
    return (headers.get("content-type") or "").lstrip().lower().startswith("application/cloudevents")


def read(arrived: Arrived) -> Parcel:
    """The events of a request in any of the three modes. Raises Unsplittable."""
    kind = media_type(arrived.headers.get("content-type") or "")
    if kind == BATCH:
        raws = [bytes(raw) for raw in decoded(arrived.body, list[msgspec.Raw])]
        return Parcel([again(raw, arrived.now_ms) for raw in counted(raws, "$")], raws)
    if kind == ONE:
        raw = arrived.body.strip()
        return Parcel([again(raw, arrived.now_ms)], [raw], single=True)
    if kind.startswith("application/cloudevents"):
        remedy = f"send {ONE}, {BATCH}, or the attributes as ce- headers"
        raise refused_whole("bad_content_type", "content-type", f"{kind[:80]!r} is not taken", remedy, 415)
    raw = as_structured(arrived.headers, kind, arrived.body)
    return Parcel([again(raw, arrived.now_ms)], [raw], single=True)


def as_structured(headers: Headers, kind: str, body: bytes) -> bytes:
    """A request in binary mode as the structured event that means the same. Its data keep their bytes: half of such an
    event is in the headers, and a dead letter must hold all of it."""
    said = {name: headers.get(f"ce-{name}") for name in (*ATTRIBUTES, *OURS)}
    event: dict[str, Any] = {
        name: unquote(value, errors="replace") for name, value in said.items() if value is not None
    }
    if body.strip():
        event["datacontenttype"] = kind or "application/json"
        if kind in _JSON and not isinstance(read_object(body), Refused):
            event["data"] = msgspec.Raw(body.strip())
        else:
            event["data_base64"] = base64.b64encode(body).decode("ascii")
    return msgspec.json.encode(event)


def again(original: bytes, now_ms: int) -> bytes | Refused:
    """The event of a structured event's bytes."""
    return translated(original, lambda item: event_of(item, now_ms))


def event_of(item: Mapping[str, Any], now_ms: int) -> Item | Refused:
    """Our event of a CloudEvent."""
    for name in ("id", "source", "specversion", "type"):
        if not isinstance(item.get(name), str) or not item[name]:
            remedy = "send id, source, specversion and type as strings with every event"
            return Refused("missing_field", name, f"a CloudEvent needs {name}", remedy)
    if item["specversion"] != "1.0":
        told = f"version {item['specversion'][:16]!r} of CloudEvents is not taken"
        return Refused("bad_value", "specversion", told, "send specversion 1.0")
    data = _data(item)
    if isinstance(data, Refused):
        return data
    kind = mapping.event_type(item["type"]) or mapping.event_type(item["type"].rpartition(".")[2])
    event: dict[str, Any] = {
        "event_type": kind or item["type"][:64],
        "event_id": mapping.event_id(item["id"], f"cloudevents\x1f{item['source']}"),
        "event_time": mapping.first(item.get("time"), data.get("event_time"), now_ms),
        "sent_at": item.get("sentat"),
        "user_id": mapping.text(item.get("userid")),
        "device_id": mapping.text(item.get("deviceid")),
        "session_id": mapping.text(item.get("sessionid")),
        "seq": mapping.whole(item.get("seq")),
        "context": data.get("context"),
        "consent": data.get("consent"),
        "properties": data.get("properties"),
    }
    about = {_subject_of(kind or ""): mapping.text(item.get("subject"))}
    for name, value in (*data.items(), *about.items()):
        if name not in ("event_type", "event_id") and event.get(name) is None:
            event[name] = value
    return event


def _subject_of(kind: str) -> str:
    """The field that `subject` fills: what the type is about."""
    known = TYPES.get(kind)
    for name in ("target_user_id", "video_id", "query", "user_id"):
        if known is not None and name in known.requires:
            return name
    return "video_id"


def _data(item: Mapping[str, Any]) -> Mapping[str, Any] | Refused:
    remedy = "send data as a JSON object with our fields"
    packed = item.get("data_base64")
    if packed is None:
        data = item.get("data")
        if data is None or isinstance(data, Mapping):
            return data or {}
        return Refused("wrong_type", "data", "data is no JSON object", remedy)
    try:
        found = read_object(base64.b64decode(packed, validate=True)) if isinstance(packed, str) else None
    except (binascii.Error, ValueError):
        found = None
    if found is None or isinstance(found, Refused):
        return Refused("bad_value", "data_base64", "data_base64 is no JSON object in base64", remedy)
    return found


CLOUDEVENTS = Protocol("CloudEvents 1.0", (), read, again, verdict_each, kept_as=Way("POST", "/v1/events", ONE))
