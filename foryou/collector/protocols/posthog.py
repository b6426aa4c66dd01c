"""PostHog's capture API: /batch/, and the single events of /capture/ and /e/. The key is in the body."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

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
    refused_whole,
    translated,
    unmapped,
)
from foryou.collector.unpack import unpack
from foryou.contract.gate import Accepted, Refused
from foryou.service.web import Response, json_response

NAMES = {"application_opened": "app_open", "application_backgrounded": "app_close"}
_REMEDY = "name the event as one of our event types; docs/protocols.md lists them"
_FORM = "application/x-www-form-urlencoded"


class _Batch(msgspec.Struct):
    batch: list[msgspec.Raw]
    api_key: str | None = None
    token: str | None = None
    sent_at: Any = None


class _One(msgspec.Struct):
    api_key: str | None = None
    token: str | None = None
    properties: Any = None


def read(arrived: Arrived) -> Parcel:
    """The events of a body: an object with a `batch`, an array, or one event; also in a form, as browsers send it."""
    body = _unformed(arrived).strip()
    if body.startswith(b"["):
        originals = counted([bytes(raw) for raw in decoded(body, list[msgspec.Raw])], "$")
        key = _key_of(decoded(originals[0], _One))
        return Parcel([again(raw, arrived.now_ms) for raw in originals], originals, key=key)
    if "batch" in decoded(body, dict[str, msgspec.Raw]):
        batch = decoded(body, _Batch)
        originals = counted([bytes(raw) for raw in batch.batch], "batch")
        events = [_event(raw, batch.sent_at, arrived.now_ms) for raw in originals]
        return Parcel(events, originals, key=first(batch.api_key, batch.token))
    one = decoded(body, _One)
    return Parcel([again(body, arrived.now_ms)], [body], single=True, key=_key_of(one))


def _key_of(one: _One) -> str | None:
    key = first(one.api_key, one.token, member({"of": one.properties}, "of", "token"))
    return key if isinstance(key, str) else None


def _unformed(arrived: Arrived) -> bytes:
    """The JSON in a form's `data`, in base64 or as it is; any other body as it is."""
    if not (arrived.headers.get("content-type") or "").lower().startswith(_FORM) or arrived.body[:1] in (b"{", b"["):
        return arrived.body
    try:
        data = parse_qs(arrived.body.decode("ascii"), max_num_fields=10).get("data", [""])[0]
    except ValueError:
        raise refused_whole("bad_value", "data", "the form cannot be read", "send JSON, or data=<JSON>") from None
    if data[:1] in ("{", "["):
        return data.encode("utf-8", "replace")
    try:
        return unpack(base64.b64decode(data.replace(" ", "+"), validate=True), None)
    except (binascii.Error, ValueError):
        raise refused_whole("bad_value", "data", "data is neither JSON nor base64", "send data=<JSON>") from None


def again(original: bytes, now_ms: int) -> bytes | Refused:
    """The event of one item's bytes."""
    return _event(original, None, now_ms)


def _event(original: bytes, sent_at: Any, now_ms: int) -> bytes | Refused:
    return translated(original, lambda item: event_of(item, sent_at, now_ms))


def event_of(item: Mapping[str, Any], sent_at: Any, now_ms: int) -> Item | Refused:
    """Our event of one of PostHog's. Names that begin with $ are its own: most have no counterpart here."""
    properties = members(item, "properties")
    event, name = _common(item, properties, sent_at, now_ms), item.get("event")
    own = {key: value for key, value in properties.items() if not key.startswith("$") and key != "token"}
    if name in ("$identify", "$set"):
        return profile_of(
            event, {**members(properties, "$set_once"), **members(properties, "$set"), **members(item, "$set")}
        )
    if name in ("$pageview", "$screen"):
        shown = first(properties.get("$screen_name"), properties.get("$pathname"), properties.get("$current_url"))
        return screen_of(event, shown, own)
    kind = mapping.event_type(name, NAMES)
    if kind is None or (isinstance(name, str) and name.startswith("$")):
        return unmapped(repr(name[:64]) if isinstance(name, str) else "an event without a name", _REMEDY)
    event["event_type"] = kind
    mapping.spread(own, event)
    return event


def _common(item: Mapping[str, Any], said: Mapping[str, Any], sent_at: Any, now_ms: int) -> dict[str, Any]:
    person, device = first(item.get("distinct_id"), said.get("distinct_id")), said.get("$device_id")
    anonymous = person is not None and (person == device or said.get("$is_identified") is False)
    return {
        "event_id": mapping.event_id(first(item.get("uuid"), said.get("$insert_id")), "posthog"),
        "event_time": first(item.get("timestamp"), sent_at, now_ms),
        "sent_at": first(sent_at),
        "user_id": None if anonymous else mapping.text(person),
        "device_id": mapping.text(first(device, person if anonymous else None)),
        "session_id": mapping.text(first(said.get("$session_id"))),
        "context": mapping.context(
            network="wifi" if said.get("$network_wifi") is True else said.get("$network_carrier"),
            device=first(said.get("$device_model"), said.get("$device_name"), said.get("$device_type")),
            os=" ".join(str(part) for name in ("$os", "$os_version") if (part := said.get(name))) or None,
            app_version=said.get("$app_version"),
            locale=first(said.get("$locale"), said.get("$browser_language")),
            region=said.get("$geoip_country_code"),
        ),
    }


def answer(verdicts: Verdicts, _: bool) -> Response:
    """PostHog's 1, with the counts beside it."""
    accepted = sum(isinstance(verdict, Accepted) for verdict in verdicts)
    return json_response(200, {"status": 1, "accepted": accepted, "rejected": len(verdicts) - accepted})


_PATHS = ("/batch/", "/batch", "/capture/", "/capture", "/e/", "/e", "/i/v0/e/", "/i/v0/e")
POSTHOG = (Protocol("PostHog", tuple(("POST", path) for path in _PATHS), read, again, answer, key_in="api_key"),)
