"""An OpenAPI 3.1 document made of a router's own routes: a path that is in it exists, and one that exists is in it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from foryou.service.problem import CONTENT_TYPE as PROBLEM_TYPE
from foryou.service.web import Request, Response, Route, Router

Schema = Mapping[str, Any]
PATH = "/openapi.json"
TEXT: Schema = {"type": "string"}
_PARAMETER = re.compile(r"\{(\w+)\}")
_REFUSALS = {
    400: "The request cannot be read",
    401: "The key or token is missing or unknown",
    403: "The key is known and may not do this",
    408: "The body did not arrive in time",
    413: "The body is too large",
    415: "The content type or encoding is not taken",
    422: "It can be read, and breaks the contract",
    429: "Too much came; Retry-After says when to ask again",
    500: "A bug of ours",
    503: "What is needed is away; Retry-After says when to ask again",
}
PROBLEM: Schema = {
    "type": "object",
    "description": "RFC 9457; `reason` is stable, `field` says where it is, `remedy` how to mend it",
    "required": ["type", "title", "status", "detail", "reason"],
    "properties": {
        **dict.fromkeys(("type", "title", "detail", "reason", "field", "remedy", "request_id"), TEXT),
        "status": {"type": "integer"},
    },
}


@dataclass(frozen=True)
class Operation:
    """What a document says of one route. `bodies` and `answers`: schema by content type, and that by status.

    `refusals`: the statuses that this route can be refused with. `query` and `path`: schema by parameter.
    """

    summary: str
    answers: Mapping[int, Mapping[str, Schema]]
    bodies: Mapping[str, Schema] = field(default_factory=dict)
    body_required: bool = False
    query: Mapping[str, Schema] = field(default_factory=dict)
    path: Mapping[str, Schema] = field(default_factory=dict)
    refusals: tuple[int, ...] = (400, 401, 403, 408, 413, 415, 422, 429, 500, 503)
    secured: bool = True


METRICS = Operation("Metrics for Prometheus", {200: {"text/plain": TEXT}}, refusals=(500,), secured=False)
HEALTH = Operation(
    "Whether it has all that it waits for",
    {status: {"application/json": {"type": "object"}} for status in (200, 503)},
    refusals=(500,),
    secured=False,
)
ITSELF = Operation("This document", {200: {"application/json": {"type": "object"}}}, refusals=(500,), secured=False)
_OF_EVERY_PROCESS = {"/metrics": METRICS, "/healthz": HEALTH, PATH: ITSELF}


def add_document(
    router: Router, title: str, operations: Mapping[tuple[str, str], Operation], schemas: Mapping[str, Schema]
) -> None:
    """Serves the document of all routes that the router has by now, and of itself."""
    made: list[bytes] = []

    async def answer(_: Request) -> Response:
        return Response(200, made[0])

    router.add("GET", PATH, answer, max_body=0)
    made.append(msgspec.json.encode(document(router.routes(), title, operations, schemas)))


def document(
    routes: list[Route], title: str, operations: Mapping[tuple[str, str], Operation], schemas: Mapping[str, Schema]
) -> dict[str, Any]:
    """The document. Raises KeyError for a route that nothing is said of."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        said = _OF_EVERY_PROCESS.get(route.pattern) or operations[route.method, route.pattern]
        paths.setdefault(route.pattern, {})[route.method.lower()] = _operation(route, said)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": "1", "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        "paths": paths,
        "components": {
            "schemas": {**schemas, "Problem": PROBLEM},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic", "description": "the key is the user; no password"},
            },
        },
    }


def _operation(route: Route, said: Operation) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": said.path.get(name, TEXT)}
        for name in _PARAMETER.findall(route.pattern)
    ]
    parameters += [{"name": name, "in": "query", "schema": schema} for name, schema in said.query.items()]
    responses = {
        str(status): {"description": _DESCRIBED.get(status, "Done"), "content": _content(by_type)}
        for status, by_type in said.answers.items()
    }
    problem = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for status in said.refusals:
        responses.setdefault(str(status), {"description": _REFUSALS[status], "content": problem})
    made: dict[str, Any] = {"summary": said.summary, "responses": responses}
    if parameters:
        made["parameters"] = parameters
    if said.bodies:
        made["requestBody"] = {"required": said.body_required, "content": _content(said.bodies)}
    if said.secured:
        made["security"] = [{"bearer": []}, {"basic": []}]
    return made


_DESCRIBED = {200: "Taken or found", 202: "Every event was accepted", 207: "Some were accepted; `results` says which"}


def _content(by_type: Mapping[str, Schema]) -> dict[str, Any]:
    return {content_type: {"schema": schema} for content_type, schema in by_type.items()}


def portable(schema: Any) -> Any:
    """A schema whose patterns mean the same outside of Python."""
    if isinstance(schema, Mapping):
        return {
            name: value.replace(r"\Z", "$") if name == "pattern" and isinstance(value, str) else portable(value)
            for name, value in schema.items()
        }
    return [portable(item) for item in schema] if isinstance(schema, list) else schema
