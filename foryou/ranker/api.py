"""The feed's route, and what the ranker's OpenAPI document says of it."""

from foryou.ranker.feed_door import CONTEXT, DEFAULT_LIMIT, MAX_LIMIT, MAX_TOKEN_BODY, FeedDoor
from foryou.service.openapi import TEXT, Operation, Schema, add_document
from foryou.service.rsgi import Router
from foryou.service.tokens import MAX_TTL_S

PATH, TOKENS_PATH = "/v1/feed", "/v1/tokens"
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
    "Wish": {
        "type": "object",
        "properties": {
            "user_id": _ID,
            "device_id": _ID,
            "ttl_s": {"type": "integer", "minimum": 1, "maximum": MAX_TTL_S},
        },
        "anyOf": [{"required": ["user_id"]}, {"required": ["device_id"]}],
        "additionalProperties": False,
    },
    "Token": {
        "type": "object",
        "required": ["expires_at", "token"],
        "properties": {"token": TEXT, "expires_at": {**_NUMBER, "description": "UTC ms"}},
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
    refusals=(400, 401, 403, 413, 429, 500, 503),
)
TOKENS = Operation(
    "A token with which one person's phone may ask for that person's feed; for a key with the scope tokens:issue",
    {200: {"application/json": {"$ref": "#/components/schemas/Token"}}},
    bodies={"application/json": {"$ref": "#/components/schemas/Wish"}},
    body_required=True,
    refusals=(400, 401, 403, 408, 413, 429, 500, 503),
)


def add_feed(router: Router, door: FeedDoor) -> None:
    """GET /v1/feed, POST /v1/tokens, and the document."""
    router.add("GET", PATH, door.get_feed, max_body=0)
    router.add("POST", TOKENS_PATH, door.post_tokens, max_body=MAX_TOKEN_BODY)
    add_document(router, "foryou: feed", {("GET", PATH): FEED, ("POST", TOKENS_PATH): TOKENS}, SCHEMAS)
