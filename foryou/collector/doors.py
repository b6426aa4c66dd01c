"""Catalogue and account doors: each makes one event of its path and body, and sends it through the same door."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from foryou.collector.api import EVENTS, operation, schemas
from foryou.collector.door import Door
from foryou.collector.protocols import PROTOCOLS
from foryou.collector.protocols.shape import Protocol
from foryou.contract.events import MAX_BODY_BYTES
from foryou.contract.gate import Refused, read_object
from foryou.service.openapi import add_document
from foryou.service.web import Handler, Request, Response, Router


@dataclass(frozen=True)
class SideDoor:
    """A method and path, and the event types that it may make; the first one unless the body says another."""

    method: str
    pattern: str
    types: tuple[str, ...]


SIDE_DOORS = (
    SideDoor("POST", "/v1/videos", ("video_published",)),
    SideDoor("PATCH", "/v1/videos/{video_id}", ("video_updated",)),
    SideDoor("DELETE", "/v1/videos/{video_id}", ("video_removed",)),
    SideDoor("POST", "/v1/videos/{video_id}/moderation", ("video_moderated",)),
    SideDoor("POST", "/v1/videos/{video_id}/rendition", ("video_rendition_ready",)),
    SideDoor("PUT", "/v1/users/{user_id}", ("profile_updated", "account_created", "consent_changed")),
    SideDoor("DELETE", "/v1/users/{user_id}", ("account_deactivated",)),
    SideDoor("PUT", "/v1/users/{user_id}/follows/{target_user_id}", ("follow",)),
    SideDoor("DELETE", "/v1/users/{user_id}/follows/{target_user_id}", ("unfollow",)),
)


def event_of(side: SideDoor, params: Mapping[str, str], body: bytes, now_ms: int) -> dict[str, Any] | Refused:
    """The event that a request at a side door means; its time is now unless the body says when."""
    said = read_object(body)
    if isinstance(said, Refused):
        return said
    for name, value in params.items():
        if said.get(name, value) != value:
            return Refused("bad_value", name, f"the path has another {name}", f"leave {name} out of the body")
    if said.get("event_type", side.types[0]) not in side.types:
        return Refused("bad_value", "event_type", "this door makes no such event", f"send {' or '.join(side.types)}")
    return {"event_type": side.types[0], "event_time": now_ms, **said, **params}


def add_doors(router: Router, door: Door) -> None:
    """All the collector's paths."""
    said: dict[tuple[str, str], str | None] = {("POST", EVENTS): "JSON"}
    router.add("POST", EVENTS, door.post_events, max_body=MAX_BODY_BYTES, before=door.ready)
    for protocol in PROTOCOLS:
        for method, path in protocol.paths:
            most = MAX_BODY_BYTES if method == "POST" else 0
            router.add(method, path, _speaking(protocol, door), max_body=most, before=door.ready)
            said[method, path] = protocol.name
    for side in SIDE_DOORS:
        router.add(side.method, side.pattern, _handler(side, door), max_body=MAX_BODY_BYTES, before=door.ready)
        said[side.method, side.pattern] = None
    operations = {key: operation(*key, name) for key, name in said.items()}
    add_document(router, "foryou: collector", operations, schemas())


def _speaking(protocol: Protocol, door: Door) -> Handler:
    return lambda request: door.post(protocol, request)


def _handler(side: SideDoor, door: Door) -> Handler:
    async def handle(request: Request) -> Response:
        return await door.post_one(request, lambda body, now_ms: event_of(side, request.params, body, now_ms))

    return handle
