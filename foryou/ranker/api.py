"""The feed's route, and what the ranker's OpenAPI document says of it."""

from foryou.ranker.feed_door import CONTEXT, DEFAULT_LIMIT, MAX_LIMIT, FeedDoor
from foryou.service.openapi import TEXT, Operation, Schema, add_document
from foryou.service.rsgi import Router

PATH = "/v1/feed"
_ID: Schema = {**TEXT, "minLength": 1, "maxLength": 128}
_NUMBER: Schema = {"type": "integer", "minimum": 0}
_TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
_ITEM = {
    "video_id": TEXT,
    "impression_id": TEXT,
    "position": _NUMBER,
    "creator_id": TEXT,
    "duration_ms": _NUMBER,
    "category": _TEXT_OR_NULL,
    "source": TEXT,
    "score": {"type": "number"},
}
SCHEMAS: dict[str, Schema] = {
    "Item": {"type": "object", "required": sorted(_ITEM), "properties": _ITEM},
    "Page": {
        "type": "object",
        "required": ["request_id", "items", "fallback", "model_version"],
        "properties": {
            "request_id": TEXT,
            "items": {"type": "array", "maxItems": MAX_LIMIT, "items": {"$ref": "#/components/schemas/Item"}},
            "fallback": {**_TEXT_OR_NULL, "description": "null, or the step that answered in the pipeline's place"},
            "model_version": TEXT,
        },
    },
}
FEED = Operation(
    "A page of the feed for one viewer: user_id, or device_id without an account",
    {200: {"application/json": {"$ref": "#/components/schemas/Page"}}},
    query={
        "user_id": _ID,
        "device_id": _ID,
        "limit": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
        **{name: {**TEXT, "maxLength": 64} for name in CONTEXT},
    },
    refusals=(400, 401, 413, 500, 503),
)


def add_feed(router: Router, door: FeedDoor) -> None:
    """GET /v1/feed, and the document."""
    router.add("GET", PATH, door.get_feed, max_body=0)
    add_document(router, "foryou: feed", {("GET", PATH): FEED}, SCHEMAS)
