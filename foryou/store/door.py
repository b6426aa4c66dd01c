"""The store's HTTP door: Feast's own feature server, with its input checked and its errors told as problem+json.

    GET  /healthz  /metrics
    GET  /tiles/{view}/{entity}?app_id=       the tiles of one entity and the features merged from them (foryou trace,
    tests) POST /get-online-features  /push  /write-to-online-store  …      Feast

Feast answers 500 for much that a client got wrong. What can be told beforehand is told here with the field's name
(checks.py); what Feast then still refuses is the client's, unless it is of a kind that cannot be.
"""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from feast import FeatureStore
from feast.errors import FeastError
from feast.feature_server import get_app
from starlette.exceptions import HTTPException

from foryou.contract.ids import uuid7
from foryou.features import cutoff, merge
from foryou.features.spec import View
from foryou.service import metrics as metric_table
from foryou.service import problem
from foryou.service.metrics import Metrics
from foryou.service.problem import Problem
from foryou.service.web import parameters
from foryou.store import checks
from foryou.store.checks import Known
from foryou.store.permits import Permits
from foryou.store.rocks import StoreUnavailableError
from foryou.store.rows import Rows, cutoff_key, tile_key

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

ERRORS = "foryou.errors"  # in an ASGI scope: where Feast's errors are left for the door
MAX_BODY = 8 << 20
DRAIN_BYTES = 32 << 20  # a refused body is read away up to here, so that the client gets to read the refusal
BODY_TIMEOUT_S = 10.0


class Door:
    """The ASGI application of the store process."""

    def __init__(
        self,
        store: FeatureStore,
        known: Callable[[], Known],
        rows: Rows,
        views: Mapping[str, View],
        waiting_for: Callable[[], list[str]],
        metrics: Metrics,
        clock: Callable[[], int],
        permits: Permits | None = None,
    ) -> None:
        self._permits = permits
        self._known, self._rows, self._views = known, rows, views
        self._waiting_for, self._metrics, self._clock = waiting_for, metrics, clock
        self._feast = feast_app(store)
        self._routes = {getattr(route, "path", "") for route in self._feast.routes}
        self._seen: dict[tuple[str, int], tuple[Any, Any]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and self._asks(scope):
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":  # lifespan and Feast's chat socket
            await self._feast(scope, receive, send)
            return
        began = time.perf_counter()
        path: str = scope["path"]
        request_id = uuid7(self._clock())
        route, status = path if path in self._routes else "none", 500

        async def observed_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            if path == "/healthz":
                route = path
                await _answer(observed_send, *self._healthz())
            elif path == "/metrics":
                route = path
                self._metrics.gauge("foryou_up").set(0 if self._waiting_for() else 1)
                await _answer(observed_send, 200, self._metrics.render(), metric_table.CONTENT_TYPE)
            elif path.startswith("/tiles/"):
                route = "/tiles/{view}/{entity}"
                self._admit(scope, b"")
                await _answer(observed_send, 200, self._tiles(scope))
            else:
                body = await _body(scope, receive)
                self._admit(scope, body)
                if scope["method"] == "POST":
                    checks.check(path, body, self._known())
                errors: list[Exception] = []
                await self._feast({**scope, ERRORS: errors}, _replay(body, receive), observed_send)
                if errors:
                    raise errors[0]
        except Exception as error:  # noqa: BLE001 - the process boundary: one request's failure is one request's answer
            refused = as_problem(scope["method"], path, error)
            if refused.status >= 500:
                where = traceback.format_tb(error.__traceback__)
                told = {"route": route, "request_id": request_id, "error": type(error).__name__, "traceback": where}
                log.error("request failed", extra=told)
            await _answer(
                observed_send, refused.status, refused.body(request_id), problem.CONTENT_TYPE, refused.headers
            )
        finally:
            self._observe(route, status, time.perf_counter() - began)

    def _asks(self, scope: Scope) -> bool:
        client = scope.get("client")
        return self._permits is not None and self._permits.asks(client[0] if client else None)

    def _admit(self, scope: Scope, body: bytes) -> None:
        if self._permits is not None and self._asks(scope):
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            query = scope["query_string"].decode("latin-1")
            self._permits.admit(scope["method"], scope["path"], query, headers, body)

    def _healthz(self) -> tuple[int, bytes]:
        waiting = self._waiting_for()
        if waiting:
            return 503, msgspec.json.encode({"status": "waiting", "waiting_for": waiting})
        return 200, b'{"status":"ok"}'

    def _tiles(self, scope: Scope) -> bytes:
        if scope["method"] != "GET":
            raise problem.method_not_allowed(scope["method"], ("GET",))
        name, _, entity = scope["path"].removeprefix("/tiles/").partition("/")
        view = self._views.get(name)
        if view is None:
            known = f"one of {', '.join(sorted(self._views))}"
            raise Problem(404, "Not found", f"there is no tile view {name!r}", "view", known, reason="unknown_view")
        app_id = parameters(scope["query_string"].decode("latin-1")).get("app_id")
        if not app_id:
            raise Problem(
                422, "Not understood", "app_id is missing", "app_id", "add ?app_id=<the app>", reason="missing_field"
            )
        packed = self._rows.get(tile_key(name, app_id, entity))
        if packed is None:
            told = f"{name} has no tiles of this {view.entity}"
            raise Problem(
                404, "Not found", told, view.entity, "keys look like uk_…, not raw ids", reason="unknown_entity"
            )
        until = cutoff.decode(self._rows.get(cutoff_key(name))).ms
        return msgspec.json.encode(tiles_of(view, app_id, entity, merge.decode(view, packed), self._clock(), until))

    def _observe(self, route: str, status: int, seconds: float) -> None:
        pair = self._seen.get((route, status))
        if pair is None:
            pair = self._seen[route, status] = (
                self._metrics.counter("foryou_http_requests_total", route=route, status=str(status)),
                self._metrics.histogram("foryou_http_request_seconds", route=route),
            )
        pair[0].inc()
        pair[1].observe(seconds)


def tiles_of(view: View, app_id: str, entity: str, row: merge.Row, now: int, until: int = 0) -> dict[str, Any]:
    """The row as it lies there, newest tiles first, and what it means at `now`, the batch layer's tiles counting up to
    `until` (both UTC ms)."""
    names = [measure.name for measure in view.measures]
    tiles = [
        {
            "facet": facet,
            "tile_ms": tile_ms,
            "tile_start": tile_start,
            "salt": salt,
            "epoch": state.epoch,
            "n": state.n,
            "first_ms": state.first_ms,
            "last_ms": state.last_ms,
            "measures": dict(zip(names, state.measures, strict=True)),
        }
        for (facet, tile_ms, tile_start, salt), state in row.items()
    ]
    tiles.sort(key=lambda tile: (tile["tile_start"], tile["tile_ms"]), reverse=True)
    return {
        "view": view.full_name,
        "app_id": app_id,
        view.entity: entity,
        "read_at": now,
        "batch_until": until,
        "features": merge.read(view, row, now, until),
        "tiles": tiles,
    }


def feast_app(store: FeatureStore) -> FastAPI:
    """Feast's feature server with its errors left to us. RegistryFollower refreshes the registry, so Feast's timer is
    off."""
    app: FastAPI = get_app(store, registry_ttl_sec=0)

    async def hand_on(_: Any, error: Exception) -> None:
        raise error

    app.exception_handlers.pop(Exception, None)  # Feast's own, which answers 500 to nearly everything
    for kind in (RequestValidationError, HTTPException):
        app.add_exception_handler(kind, hand_on)
    app.add_middleware(_KeepError)
    return app


class _KeepError:
    """Keeps an error from Starlette's outermost layer, which would answer 500 before the door can answer better."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except Exception as error:
            if ERRORS not in scope:
                raise
            scope[ERRORS].append(error)


def as_problem(method: str, path: str, error: Exception) -> Problem:
    """What a client is told. Feast raises plain ValueErrors, KeyErrors and TypeErrors for what it cannot make of its
    input."""
    match error:
        case Problem():
            return error
        case StoreUnavailableError():
            return Problem(503, "Not available", str(error), reason="unavailable", headers=(("retry-after", "1"),))
        case RequestValidationError():
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"] if part != "body") or "body"
            return Problem(422, "Not understood", first["msg"], where, f"mend {where}", reason="bad_field")
        case HTTPException(status_code=404):
            return Problem(404, "Not found", "there is no such path", "path", "see GET /docs", reason="not_found")
        case HTTPException(status_code=405):
            return problem.method_not_allowed(method, (error.headers or {}).get("Allow", "").split(", "))
        case HTTPException():
            headers = tuple((error.headers or {}).items())
            return Problem(error.status_code, "Refused", str(error.detail), "method", headers=headers)
        case FeastError():
            status = error.http_status_code()
            return Problem(
                status if 400 <= status < 500 else 422,
                "Not found" if status == 404 else "Not understood",
                str(error),
                checks.field_of(error),
                "`feast feature-services list` and `feast feature-views list` say what there is",
                reason="refused_by_feast",
            )
        case ValueError() | TypeError() | KeyError() | IndexError() | AttributeError() | OverflowError():
            told = f"{type(error).__name__}: {error}"
            remedy = "compare the body with the example in GET /docs"
            return Problem(
                422, "Not understood", told[:500], checks.MAIN_FIELD.get(path), remedy, reason="refused_by_feast"
            )
        case _:
            return Problem(500, "Internal error", "this request failed; the log has it by its request id", reason="bug")


async def _body(scope: Scope, receive: Receive) -> bytes:
    pieces: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Problem(400, "Bad request", "the client went away", reason="disconnected")
                piece = message.get("body", b"")
                size += len(piece)
                if size <= MAX_BODY:
                    pieces.append(piece)
                if not message.get("more_body") or size > DRAIN_BYTES:
                    break
    except TimeoutError:
        told = f"the body did not arrive within {BODY_TIMEOUT_S:g} s"
        raise Problem(408, "Request timeout", told, "body", "send less at a time", reason="slow_body") from None
    if size > MAX_BODY:
        told = f"a body has at most {MAX_BODY:,} bytes here"
        raise Problem(413, "Body too large", told, "body", "send it in smaller pieces", reason="too_large")
    return b"".join(pieces)


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replayed() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


async def _answer(
    send: Send,
    status: int,
    body: bytes,
    content_type: str = "application/json",
    headers: tuple[tuple[str, str], ...] = (),
) -> None:
    lines = [("content-type", content_type), ("content-length", str(len(body))), *headers]
    encoded = [(name.lower().encode(), value.encode("latin-1")) for name, value in lines]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})
