"""A small HTTP door: routes, bounded bodies, problem+json, /metrics and /healthz.

One process, one event loop. Handlers take a Request and return a Response or raise a Problem; whatever else they raise
is logged and answered 500 here, at the boundary.
"""

import asyncio
import logging
import re
import time
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qsl

import msgspec

from foryou.contract.ids import uuid7
from foryou.service import metrics as metric_table
from foryou.service import problem
from foryou.service.cors import NOBODY, Cors
from foryou.service.http1 import Disconnected
from foryou.service.metrics import Metrics
from foryou.service.problem import Problem

log = logging.getLogger(__name__)

BODY_TIMEOUT_S = 10.0  # a client that needs longer for its body is broken or hostile
DRAIN_BYTES = 32 << 20  # a refused body is read away up to here, so that the client gets to read the refusal
SMALL_BODY_BYTES = 8 << 10
MAX_PARAMETERS = 100
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_NEVER = re.compile(r"(?!)")
_PARAMETER = re.compile(r"\{(\w+)\}")


class Headers(Protocol):
    """Request headers; names in lower case."""

    def get(self, key: str, default: Any = None, /) -> Any: ...


class Scope(Protocol):
    """What a request's head says."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def query_string(self) -> str: ...
    @property
    def headers(self) -> Headers: ...
    @property
    def client(self) -> str: ...


@dataclass(slots=True)
class UnderWay:
    """Requests that are being answered, and the bytes of the bodies that came: one that is waited for costs nothing."""

    requests: int = 0
    body_bytes: int = 0


class Gatekeeper(Protocol):
    """Asked before a body is read."""

    def admit(self, scope: Scope, under_way: UnderWay) -> None:
        """Raises a Problem to refuse a request, which `under_way` counts already."""


class Exchange(Protocol):
    """The body in, the answer out."""

    def whole(self) -> bytes | None: ...
    def __call__(self) -> Awaitable[bytes]: ...
    def __aiter__(self) -> AsyncIterator[bytes]: ...
    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None: ...


class Request(msgspec.Struct, frozen=True):
    """A request whose body has been read. `params` are the decoded parts of the path."""

    method: str
    path: str
    query_string: str
    headers: Headers
    params: Mapping[str, str]
    body: bytes
    request_id: str

    def query(self) -> dict[str, str]:
        """Query parameters, see `parameters`."""
        return parameters(self.query_string)


def parameters(query_string: str) -> dict[str, str]:
    """The parameters of a query, each given once. What is not UTF-8 comes as U+FFFD. Raises a 400 Problem."""
    try:
        pairs = parse_qsl(query_string, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        told = f"there are more than {MAX_PARAMETERS} parameters"
        raise _bad_parameter("query", told, "send those that you need") from None
    said = dict(pairs)
    if len(said) < len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        name = twice[:64]
        raise _bad_parameter(name, f"{name} is given more than once", f"send {name} once")
    return said


def _bad_parameter(field: str, detail: str, remedy: str) -> Problem:
    return Problem(400, "Bad request", detail, field, remedy, reason="bad_parameter")


class Response(msgspec.Struct, frozen=True):
    """An answer."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


def json_response(status: int, value: Any, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    """`value` as JSON."""
    return Response(status, msgspec.json.encode(value), headers=headers)


Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path pattern, such as /v1/videos/{video_id}; a parameter matches one part of the path."""

    method: str
    pattern: str
    handler: Handler
    max_body: int
    regex: re.Pattern[str] = field(repr=False)
    before: Callable[[], None] | None = None


class Router:
    """Routes requests. `waiting_for` names what the process lacks; while it is not empty, /healthz answers 503.

    `detail` adds members to /healthz, such as what is old although the process answers.
    """

    def __init__(
        self,
        metrics: Metrics,
        waiting_for: Callable[[], list[str]] = list,
        *,
        detail: Callable[[], Mapping[str, Any]] = dict,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        body_timeout_s: float = BODY_TIMEOUT_S,
        guard: Gatekeeper | None = None,
        cors: Cors = NOBODY,
    ) -> None:
        self.metrics = metrics
        self._guard = guard
        self._cors = cors
        self._waiting_for = waiting_for
        self._detail = detail
        self._clock_ms = clock_ms
        self._body_timeout_s = body_timeout_s
        self._under_way = UnderWay()
        self._exact: dict[tuple[str, str], Route] = {}
        self._patterns: list[Route] = []
        metrics.gauge("foryou_http_requests_in_flight").set_function(lambda: self._under_way.requests)
        metrics.gauge("foryou_http_body_bytes_in_flight").set_function(lambda: self._under_way.body_bytes)
        self._observed: dict[tuple[str, int], tuple[Any, Any]] = {}
        self.add("GET", "/metrics", self._metrics, max_body=0)
        self.add("GET", "/healthz", self._healthz, max_body=0)

    def add(
        self, method: str, pattern: str, handler: Handler, *, max_body: int, before: Callable[[], None] | None = None
    ) -> None:
        """Adds a route whose body may have `max_body` bytes. `before` may raise a Problem before the body is read."""
        source = "/".join(
            f"(?P<{name[1]}>[^/]+)" if (name := _PARAMETER.fullmatch(part)) else re.escape(part)
            for part in pattern.split("/")
        )
        route = Route(method, pattern, handler, max_body, re.compile(source), before)
        if _PARAMETER.search(pattern):
            self._patterns.append(route)
        else:
            self._exact[method, pattern] = route

    def routes(self) -> list[Route]:
        """Every route, in the order in which they were added."""
        return [*self._exact.values(), *self._patterns]

    def __call__(self, scope: Scope, exchange: Exchange) -> Coroutine[Any, Any, None] | None:
        """Refuses a request at once, before anybody who came earlier is looked at, or returns what will answer it."""
        started = time.perf_counter()
        self._under_way.requests += 1
        request_id = self._request_id(scope.headers.get("x-request-id"))
        pattern = "none"  # labels and logs carry the pattern, never the path: paths hold raw ids
        try:
            route, params = self._match(scope.method, scope.path)
            pattern = route.pattern
            self._admit(route.before, scope, exchange)
        except Exception as error:  # noqa: BLE001 - the process boundary: one request's failure is one request's answer
            self._under_way.requests -= 1
            self._answer(scope, exchange, pattern, request_id, _refusal_of(error, pattern, request_id), started)
            return None
        came = exchange.whole()  # with its head, as most do: nothing to wait for
        self._under_way.body_bytes += 0 if came is None else len(came)
        return self._serve(scope, exchange, route, params, request_id, came, started)

    async def _serve(
        self,
        scope: Scope,
        exchange: Exchange,
        route: Route,
        params: Mapping[str, str],
        request_id: str,
        came: bytes | None,
        started: float,
    ) -> None:
        under_way, size = self._under_way, 0 if came is None else len(came)
        try:
            if came is None or size > route.max_body:
                came = await self._body(scope, exchange, route.max_body)
                under_way.body_bytes += len(came) - size
                size = len(came)
            response = await route.handler(
                Request(scope.method, scope.path, scope.query_string, scope.headers, params, came, request_id)
            )
        except Exception as error:  # noqa: BLE001 - as above
            response = _refusal_of(error, route.pattern, request_id)
        finally:
            under_way.requests -= 1
            under_way.body_bytes -= size
        self._answer(scope, exchange, route.pattern, request_id, response, started)

    def _answer(
        self, scope: Scope, exchange: Exchange, pattern: str, request_id: str, response: Response, started: float
    ) -> None:
        headers = [("content-type", response.content_type), ("x-request-id", request_id), *response.headers]
        headers += self._cors.headers(scope.headers.get("origin"))
        self._observe(pattern, response.status, time.perf_counter() - started)
        exchange.response_bytes(response.status, headers, response.body)

    def _admit(self, before: Callable[[], None] | None, scope: Scope, exchange: Exchange) -> None:
        try:
            if self._guard is not None:
                self._guard.admit(scope, self._under_way)
            if before is not None:
                before()
        except Problem as refused:
            # The server ends a connection whose body nobody read: say so.
            if exchange.whole() is None and not _came_along(scope.headers):
                refused.headers = (*refused.headers, ("connection", "close"))
            raise

    def _request_id(self, offered: str | None) -> str:
        if offered is not None and _REQUEST_ID.fullmatch(offered):
            return offered
        return uuid7(self._clock_ms())

    def _match(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        route = self._exact.get((method, path))
        if route is not None:
            return route, {}
        allowed = {route.method for (_, pattern), route in self._exact.items() if pattern == path}
        for route in self._patterns:
            found = route.regex.fullmatch(path)
            if found is None:
                continue
            if route.method == method:
                return route, _parameters(found)
            allowed.add(route.method)
        if allowed and method == "OPTIONS":
            return self._preflight(allowed), {}
        if allowed:
            raise problem.method_not_allowed(method, allowed)
        paths = sorted({*(pattern for _, pattern in self._exact), *(route.pattern for route in self._patterns)})
        raise Problem(
            404, "Not found", "there is no such path", "path", f"one of {', '.join(paths)}", reason="not_found"
        )

    def _preflight(self, methods: set[str]) -> Route:
        async def answer(request: Request) -> Response:
            allow = ("allow", ", ".join(sorted({*methods, "OPTIONS"})))
            origin = request.headers.get("origin")
            return Response(204, b"", "text/plain", (allow, *self._cors.preflight(origin, methods)))

        return Route("OPTIONS", "preflight", answer, 0, _NEVER)

    async def _body(self, scope: Scope, exchange: Exchange, limit: int) -> bytes:
        declared = scope.headers.get("content-length")
        if declared is None and scope.headers.get("transfer-encoding") is None:
            return b""
        try:
            async with asyncio.timeout(self._body_timeout_s):
                if declared is not None and declared.isdecimal():
                    if int(declared) <= limit:
                        return await exchange()  # no more than declared can come: the HTTP parser sees to that
                    if scope.headers.get("expect") is None and int(declared) <= DRAIN_BYTES:
                        await _read(exchange, DRAIN_BYTES, keep=False)
                    raise _too_large(limit)
                return await _read(exchange, limit, keep=True)
        except Disconnected:
            raise Problem(
                400, "Bad request", "the body broke off", "body", "send it again", reason="broken_off"
            ) from None  # most likely nobody hears this; it is counted
        except TimeoutError:
            raise Problem(
                408,
                "Request timeout",
                f"the body did not arrive within {self._body_timeout_s:g} s",
                "body",
                "send smaller batches on a slow line",
                reason="slow_body",
                headers=(("connection", "close"),),
            ) from None

    def _observe(self, pattern: str, status: int, seconds: float) -> None:
        pair = self._observed.get((pattern, status))
        if pair is None:
            pair = self._observed[pattern, status] = (
                self.metrics.counter("foryou_http_requests_total", route=pattern, status=str(status)),
                self.metrics.histogram("foryou_http_request_seconds", route=pattern),
            )
        pair[0].inc()
        pair[1].observe(seconds)

    async def _metrics(self, _: Request) -> Response:
        self.metrics.gauge("foryou_up").set(0 if self._waiting_for() else 1)
        return Response(200, self.metrics.render(), metric_table.CONTENT_TYPE)

    async def _healthz(self, _: Request) -> Response:
        waiting = self._waiting_for()
        if waiting:
            said = {"status": "waiting", "waiting_for": waiting, **self._detail()}
            return json_response(503, said, (("retry-after", "1"),))
        return json_response(200, {"status": "ok", **self._detail()})


def _came_along(headers: Headers) -> bool:
    """Whether the body, if any, is so small that it most likely came with its head."""
    declared = headers.get("content-length")
    if declared is None:
        return headers.get("transfer-encoding") is None
    return declared.isdecimal() and int(declared) <= SMALL_BODY_BYTES


def _refusal_of(error: Exception, pattern: str, request_id: str) -> Response:
    if isinstance(error, Problem):
        refused = error
    else:
        where = traceback.format_tb(error.__traceback__)  # without the message, which may quote a raw id
        told = {"route": pattern, "request_id": request_id, "error": type(error).__name__, "traceback": where}
        log.error("request failed", extra=told)
        refused = Problem(500, "Internal error", "this request failed; the log has it by its request id", reason="bug")
    return Response(refused.status, refused.body(request_id), problem.CONTENT_TYPE, refused.headers)


def _parameters(found: re.Match[str]) -> dict[str, str]:
    # The server hands the path on decoded, once, and with U+FFFD where it was not UTF-8: two ids must not become one.
    params = found.groupdict()
    if any("\ufffd" in value for value in params.values()):
        told = "the path is not percent-encoded UTF-8"
        raise Problem(400, "Bad path", told, "path", "encode it as UTF-8", reason="bad_path")
    return params


def _too_large(limit: int) -> Problem:
    return Problem(
        413,
        "Body too large",
        f"a body has at most {limit:,} bytes here",
        "body",
        "send it in smaller pieces",
        reason="too_large",
    )


async def _read(exchange: Exchange, limit: int, *, keep: bool) -> bytes:
    pieces: list[bytes] = []
    size = 0
    async for piece in exchange:
        size += len(piece)
        if size > (limit if keep else DRAIN_BYTES):
            keep = False
            pieces.clear()
            if size > DRAIN_BYTES:
                break
        if keep:
            pieces.append(piece)
    if size > limit:
        raise _too_large(limit)
    return b"".join(pieces)
