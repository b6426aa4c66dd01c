"""The feed's routes, and what the ranker's OpenAPI document says of it."""

from foryou.contract.consent import Purpose
from foryou.ranker.feed_door import CONTEXT, DEFAULT_LIMIT, MAX_LIMIT, MAX_TOKEN_BODY, FeedDoor
from foryou.service.openapi import TEXT, Operation, Schema, add_document
from foryou.service.tokens import MAX_TTL_S
from foryou.service.web import Router

PATH, TOKENS_PATH, CONSENT_PATH = "/v1/feed", "/v1/tokens", "/v1/consent"
_ID: Schema = {**TEXT, "minLength": 1, "maxLength": 128}
_NUMBER: Schema = {"type": "integer", "minimum": 0}
_TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
_WHEN: Schema = {"type": ["integer", "null"]}
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
    "Consent": {
        "type": "object",
        "required": ["purposes", "jurisdiction", "said_at", "jurisdiction_at"],
        "properties": {
            "purposes": {
                "type": "object",
                "required": sorted(Purpose),
                "properties": {purpose.value: {"type": "boolean"} for purpose in Purpose},
            },
            "jurisdiction": {**_TEXT_OR_NULL, "description": "as the account's newest event names one"},
            "said_at": {**_WHEN, "description": "UTC ms of the person's newest word; null: the jurisdiction decides"},
            "jurisdiction_at": {**_WHEN, "description": "UTC ms of the event that named the jurisdiction"},
        },
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


CONSENT = Operation(
    "What one person lets their data be used for: user_id, or device_id without an account. Ask before each use",
    {200: {"application/json": {"$ref": "#/components/schemas/Consent"}}},
    query={"user_id": _ID, "device_id": _ID},
    refusals=(400, 401, 403, 413, 429, 500, 503),
)


def add_feed(router: Router, door: FeedDoor) -> None:
    """GET /v1/feed, GET /v1/consent, POST /v1/tokens, and the document."""
    router.add("GET", PATH, door.get_feed, max_body=0)
    router.add("POST", TOKENS_PATH, door.post_tokens, max_body=MAX_TOKEN_BODY)
    router.add("GET", CONSENT_PATH, door.get_consent, max_body=0)
    documented = {("GET", PATH): FEED, ("GET", CONSENT_PATH): CONSENT, ("POST", TOKENS_PATH): TOKENS}
    add_document(router, "foryou: feed", documented, SCHEMAS)
