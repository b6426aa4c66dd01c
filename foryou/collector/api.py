"""What the collector's OpenAPI document says, made of the contract, the side doors and the list of protocols."""

from typing import Any

import msgspec

from foryou.collector.protocols.cloudevents import BATCH, ONE
from foryou.collector.protocols.segment import CALLS
from foryou.contract.events import MAX_BATCH, TYPES, ClientEvent
from foryou.service.openapi import TEXT, Operation, Schema, portable

EVENTS = "/v1/events"
_OBJECT: Schema = {"type": "object"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_KEY_IN_QUERY: dict[str, Schema] = {"write_key": {**TEXT, "description": "the write key, for who cannot set a header"}}


def schemas() -> dict[str, Schema]:
    """The contract's types as JSON Schema: of an event, and of what is told of it."""
    _, found = msgspec.json.schema_components([ClientEvent], ref_template="#/components/schemas/{name}")
    made: dict[str, Any] = portable(found)
    made["ClientEvent"]["properties"]["event_type"] = {"enum": sorted(TYPES)}
    fields = made["ClientEvent"]["properties"]
    made["Fields"] = {"type": "object", "description": "fields of an event", "properties": fields}
    some: Schema = {**TEXT, "minLength": 1}
    made["CloudEvent"] = {
        "type": "object",
        "required": ["specversion", "id", "source", "type"],
        "properties": {"specversion": {"const": "1.0"}, **dict.fromkeys(("id", "source", "type"), some)},
    }
    made["Accepted"] = {
        "type": "object",
        "required": ["accepted", "event_ids"],
        "properties": {"accepted": _COUNT, "event_ids": {"type": "array", "items": {**TEXT, "format": "uuid"}}},
    }
    made["Verdicts"] = {
        "type": "object",
        "required": ["accepted", "rejected", "results"],
        "properties": {"accepted": _COUNT, "rejected": _COUNT, "results": _many(_OBJECT)},
    }
    return made


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _many(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _batch(items: Schema) -> Schema:
    return {**_many(items), "minItems": 1, "maxItems": MAX_BATCH}


def operation(method: str, path: str, protocol: str | None) -> Operation:
    """What is said of one of the collector's routes; `protocol` is its name, None for a side door."""
    if path == EVENTS:
        return _events()
    if protocol is None:
        return _side(method)
    if path in ("/i", "/ice.png"):
        names = ("e", "eid", "dtm", "aid", "uid", "duid", "se_ca", "se_ac", "se_la", "ue_px", "cx", "page", "url")
        query = {**dict.fromkeys(names, TEXT), **_KEY_IN_QUERY}
        return Operation(f"{protocol}: one event by pixel", {200: {"image/gif": TEXT}}, query=query)
    counts = {"accepted": _COUNT, "rejected": _COUNT}
    if protocol == "Snowplow":
        body = {"type": "object", "required": ["data"], "properties": {"data": _batch(_OBJECT)}}
        return _posted(f"{protocol}: tracker payloads", {"application/json": body}, {"text/plain": TEXT})
    if protocol == "PostHog":
        body = {"type": "object", "properties": {"api_key": TEXT, "batch": _batch(_OBJECT)}}
        told = {"type": "object", "required": ["status"], "properties": {"status": {"const": 1}, **counts}}
        return _posted(f"{protocol}: events", {"application/json": body}, {"application/json": told})
    told = {"type": "object", "required": ["success"], "properties": {"success": {"const": True}, **counts}}
    call = path.removeprefix("/v1/")
    body = {"type": "object", "required": ["batch"], "properties": {"batch": _batch(_OBJECT)}}
    taken = _OBJECT if call in CALLS else body
    return _posted(f"{protocol}: {call}", {"application/json": taken}, {"application/json": told})


def _posted(summary: str, bodies: dict[str, Schema], told: dict[str, Schema]) -> Operation:
    return Operation(summary, {200: told}, bodies, body_required=True, query=_KEY_IN_QUERY)


def _events() -> Operation:
    event = _ref("ClientEvent")
    bodies: dict[str, Schema] = {
        "application/json": {"anyOf": [event, _batch(event)]},
        "text/plain": {**TEXT, "description": "the same JSON, as a browser's beacon sends it"},
        "application/x-ndjson": {**TEXT, "description": "an event per line"},
        ONE: _ref("CloudEvent"),
        BATCH: _batch(_ref("CloudEvent")),
    }
    answers = {202: {"application/json": _ref("Accepted")}, 207: {"application/json": _ref("Verdicts")}}
    return Operation("Events: one, a batch, or CloudEvents", answers, bodies, body_required=True, query=_KEY_IN_QUERY)


def _side(method: str) -> Operation:
    told = {"type": "object", "required": ["event_id"], "properties": {"event_id": {**TEXT, "format": "uuid"}}}
    bodies = {} if method == "DELETE" else {"application/json": _ref("Fields")}
    return Operation("One event of this path and body", {202: {"application/json": told}}, bodies)
