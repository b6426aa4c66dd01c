"""HTTP/1.1 in the loop's own thread: connections in, one request after another, answers out.

The grammar is llhttp's (httptools), the socket uvloop's; here are the bounds and the order. A post that waits for
nothing but its own sync is best served without a second thread: docs/adr/0024-one-thread-at-the-door.md has the
figures.

What is bounded: connections, the bytes of a head, of trailers and of chunk extensions, a body that nobody takes (its
socket is not read), answers that nobody reads (no further request is), and the time that a connection may say nothing.
"""

import asyncio
import logging
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import unquote

import httptools

from foryou.contract.ids import uuid7
from foryou.service import problem
from foryou.service.problem import Problem

log = logging.getLogger(__name__)

MAX_HEAD_BYTES = 64 << 10
MAX_HEADERS = 256
HIGH_WATER_BYTES = 256 << 10  # of a body wait to be taken; then its socket is not read
LINGER_BYTES = 32 << 20  # of a refused body are read away, so that the client gets to read the refusal
LINGER_S = 5.0
READ_BYTES = 64 << 10  # of an answer taken between two looks: slow, but alive
_UNSAFE = re.compile(r"[^\t\x20-\x7e\x80-\xff]")  # in the value of a header: a line's end would begin another one
_LINES = {status.value: b"HTTP/1.1 %d %s\r\n" % (status, status.phrase.encode()) for status in HTTPStatus}
_NO_BODY = (204, 304)


class _TooManyHeaders(Exception):
    """More lines than a head may have."""


class Disconnected(Exception):
    """The client went away before its body was whole."""


class Headers(dict[str, str]):
    """Request headers; names in lower case, a name that comes twice has both values, joined by a comma."""

    __slots__ = ()


class Scope:
    """What a request's head says. The path is decoded once, with U+FFFD where it is not UTF-8."""

    __slots__ = ("client", "headers", "method", "path", "query_string")

    def __init__(self, method: str, path: str, query_string: str, headers: Headers, client: str) -> None:
        self.method, self.path, self.query_string = method, path, query_string
        self.headers, self.client = headers, client


class Exchange:
    """The body of one request, and its answer."""

    __slots__ = ("_answered", "_complete", "_connection", "_expects", "_gone", "_pieces", "_size", "_waiter", "keep")

    def __init__(self, connection: "Connection", *, expects: bool, keep: bool) -> None:
        self._connection = connection
        self._pieces: list[bytes] = []
        self._size = 0
        self._complete = self._gone = self._answered = False
        self._waiter: asyncio.Future[None] | None = None
        self._expects = expects
        self.keep = keep  # the connection after the answer

    def whole(self) -> bytes | None:
        """The body, if all of it is here."""
        return b"".join(self._pieces) if self._complete else None

    async def __call__(self) -> bytes:
        return b"".join([piece async for piece in self])

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Raises Disconnected."""
        if self._expects and not self._complete:
            self._expects = False
            self._connection.go_on()
        while True:
            if self._pieces:
                pieces, self._pieces, self._size = self._pieces, [], 0
                self._connection.read_on()
                for piece in pieces:
                    yield piece
            elif self._complete:
                return
            elif self._gone:
                raise Disconnected
            else:
                self._waiter = asyncio.get_running_loop().create_future()
                await self._waiter

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Answers; the first answer counts."""
        if not self._answered:
            self._connection.answer(status, headers, body)
            self._answered = True

    @property
    def answered(self) -> bool:
        """Whether its answer is under way."""
        return self._answered

    @property
    def expects(self) -> bool:
        """Whether the client waits for a word before it sends the body, and got none."""
        return self._expects and not self._complete and not self._pieces

    @property
    def complete(self) -> bool:
        """Whether all of the body has come."""
        return self._complete

    def take(self, piece: bytes) -> bool:
        """A piece of the body; False when enough of it waits."""
        if self._answered:
            return True  # read away
        self._pieces.append(piece)
        self._size += len(piece)
        self._wake()
        return self._size < HIGH_WATER_BYTES

    def begin_again(self) -> None:
        """Its body is still to come, after all."""
        self._complete = False

    def end(self) -> None:
        """The body is whole."""
        self._complete = True
        self._wake()

    def lost(self) -> None:
        """No more of it will come."""
        self._gone = True
        self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


App = Callable[[Any, Any], Coroutine[Any, Any, None] | None]  # answers at once, or returns what will


class Server:
    """Makes the connections of one listening socket, and holds their bounds."""

    def __init__(self, app: App, *, connections: int, idle_s: float) -> None:
        self.app, self.idle_s, self._most = app, idle_s, connections
        self.stopping = False
        self._open: set[Connection] = set()
        self._date: tuple[int, bytes] = (0, b"")
        self._sweeper: asyncio.TimerHandle | None = None

    def __call__(self) -> "Connection":
        """A protocol for asyncio's create_server."""
        if self._sweeper is None:
            self._sweep()
        return Connection(self)

    def opened(self, connection: "Connection") -> bool:
        """Whether there is room for it."""
        self._open.add(connection)
        return len(self._open) <= self._most

    def closed(self, connection: "Connection") -> None:
        """It is gone."""
        self._open.discard(connection)

    def date(self) -> bytes:
        """The Date header's value; made once a second."""
        now = int(time.time())
        if self._date[0] != now:
            self._date = (now, formatdate(now, usegmt=True).encode())
        return self._date[1]

    def stop(self) -> None:
        """Connections that idle are closed, the others after their answer."""
        self.stopping = True
        for connection in list(self._open):
            connection.stop()

    async def drained(self, within_s: float) -> None:
        """Returns when no connection is open, or time is up; what is open then is cut."""
        until = time.monotonic() + within_s
        while self._open and time.monotonic() < until:
            await asyncio.sleep(0.01)
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in list(self._open):
            connection.cut()

    def _sweep(self) -> None:
        now = time.monotonic()
        for connection in list(self._open):
            connection.expire(now)
        every_s = min(5.0, max(0.05, self.idle_s / 8))
        self._sweeper = asyncio.get_running_loop().call_later(every_s, self._sweep)


class Connection(asyncio.Protocol):
    """One client's connection. Requests may be sent ahead; they are answered one after another."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._client = ""
        self._url = b""
        self._headers = Headers()
        self._count = 0  # header lines of this head
        self._unseen = 0  # bytes since the last event that made something of them
        self._coming: Exchange | None = None  # whose body is being read
        self._waiting: deque[tuple[Scope, Exchange]] = deque()
        self._now: Exchange | None = None  # who is to be answered next
        self._method = ""
        self._task: asyncio.Task[None] | None = None
        self._lingered = -1  # bytes read away since the last answer; below 0: it was not the last
        self._paused = self._slow = self._eof = self._beginning = False
        self._unread = 0  # bytes of answers, at the last look at a slow reader
        self._bare: Exchange | None = None  # whose body comes under a head that we made (see _stay)
        self._deadline: float | None = time.monotonic() + server.idle_s

    # from the socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one but for its class
        peer = transport.get_extra_info("peername") or ("", 0)
        host, port = peer[:2]
        self._client = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        if not self._server.opened(self):
            self._refuse(problem.unavailable("too many connections are open"))
            self._transport.close()  # has said nothing yet: no body to read away

    def connection_lost(self, _: Exception | None) -> None:
        self._server.closed(self)
        self._transport = None
        self._waiting.clear()
        for each in (self._coming, self._now):
            if each is not None:
                each.lost()
        self._coming = None
        del self._parser  # it holds us, and we hold it: nobody waits for the garbage collector

    def eof_received(self) -> bool:
        """A client that has said all may still wait for its answer."""
        self._eof = True
        if self._coming is not None:
            self._coming.lost()
        tls = self._transport is None or self._transport.get_extra_info("sslcontext") is not None
        return self._now is not None and self._lingered < 0 and not tls

    def data_received(self, data: bytes) -> None:
        if self._lingered >= 0:
            self._lingered += len(data)
            if self._lingered > LINGER_BYTES:
                self.cut()
            return
        self._unseen += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:  # to what we do not speak: answered as it is, and the last
            self._stay(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            if self._waiting and self._waiting[0][1].complete:
                self._begin()  # it was whole before what is wrong
            if isinstance(error.__context__, _TooManyHeaders):
                self._refuse(problem.head_too_large(f"{MAX_HEADERS} lines"))
            else:
                self._refuse(problem.no_http(str(error)))
        else:
            if self._unseen > MAX_HEAD_BYTES:
                self._refuse(problem.head_too_large(f"{MAX_HEAD_BYTES >> 10} KiB"))
        self._begin()
        if self._waiting:
            self._pause()

    def pause_writing(self) -> None:
        self._slow = True
        self._unread = self._transport.get_write_buffer_size() if self._transport is not None else 0
        if self._lingered < 0:
            self._deadline = time.monotonic() + self._server.idle_s
        self._pause()

    def resume_writing(self) -> None:
        self._slow = False
        if self._lingered < 0:
            self._deadline = None if self._now is not None else time.monotonic() + self._server.idle_s
        self._begin()
        self.read_on()

    # from the parser

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._coming is not None:
            return  # a trailer
        self._count += 1
        if self._count > MAX_HEADERS:
            raise _TooManyHeaders
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        known = self._headers.get(key)
        self._headers[key] = text if known is None else f"{known}, {text}"

    def on_headers_complete(self) -> None:
        self._unseen = self._count = 0
        if self._bare is not None:
            self._coming, self._bare = self._bare, None
            self._url, self._headers = b"", Headers()
            return
        url, headers = self._url, self._headers
        self._url, self._headers = b"", Headers()
        if not url.startswith(b"/"):
            url = _origin_form(url)
        path, _, query = url.partition(b"#")[0].partition(b"?")
        text = path.decode("utf-8", "replace")
        method = self._parser.get_method().decode("latin-1")
        decoded = unquote(text, errors="replace") if "%" in text else text
        expects = headers.get("expect", "").lower() == "100-continue"
        self._coming = Exchange(self, expects=expects, keep=self._parser.should_keep_alive())
        scope = Scope(method, decoded, query.decode("utf-8", "replace"), headers, self._client)
        self._waiting.append((scope, self._coming))

    def on_body(self, body: bytes) -> None:
        self._unseen = 0
        assert self._coming is not None
        if not self._coming.take(body):
            self._pause()

    def on_message_complete(self) -> None:
        self._unseen = 0
        assert self._coming is not None
        self._coming.end()
        self._coming = None

    # from the exchange

    def go_on(self) -> None:
        """Tells a client that asked first to send its body."""
        if self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def read_on(self) -> None:
        """Reads the socket again, unless there is another reason not to."""
        if self._paused and not self._slow and not self._waiting and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()

    def answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Sends the answer of the request at hand, and begins with the next one."""
        exchange = self._now
        assert exchange is not None
        # A body that was not asked for may come or not: what follows could be either.
        keep = exchange.keep and not self._server.stopping and not self._eof and not exchange.expects
        transport = self._transport
        if transport is None or transport.is_closing():
            self._now = None
            return
        parts = [_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status, b"date: ", self._server.date(), b"\r\n"]
        for name, value in headers:
            if name == "connection" and value == "close":
                keep = False
            else:
                safe = value if value.isascii() and value.isprintable() else _UNSAFE.sub("?", value)
                parts.append(f"{name}: {safe}\r\n".encode("latin-1"))
        if not keep:
            parts.append(b"connection: close\r\n")
        if status not in _NO_BODY:
            parts.append(b"content-length: %d\r\n" % len(body))
        parts.append(b"\r\n")
        if self._method != "HEAD" and status not in _NO_BODY:
            parts.append(body)
        self._now = None
        self._deadline = time.monotonic() + self._server.idle_s
        transport.write(b"".join(parts))
        if not keep:
            self._leave(whole=exchange.complete)
        else:
            self._begin()
            self.read_on()

    # from the server

    def stop(self) -> None:
        """Closes it now if nothing is under way."""
        if self._now is None and not self._waiting and self._transport is not None:
            self._transport.close()

    def cut(self) -> None:
        """Closes it now, whatever is under way."""
        if self._transport is not None:
            self._transport.abort()

    def expire(self, now: float) -> None:
        """Closes it if it has said nothing, or read nothing, for too long."""
        if self._deadline is None or now < self._deadline:
            return
        unread = self._transport.get_write_buffer_size() if self._transport is not None else 0
        if self._slow and self._lingered < 0 and unread <= self._unread - READ_BYTES:  # it reads, if slowly
            self._unread, self._deadline = unread, now + self._server.idle_s
        else:
            self.cut()

    # inside

    def _begin(self) -> None:
        if self._beginning:
            return  # an answer that came at once: the next request is the loop's below
        self._beginning = True
        try:
            while self._now is None and self._waiting and self._lingered < 0 and not self._slow:
                scope, exchange = self._waiting.popleft()
                self._now, self._method, self._deadline = exchange, scope.method, None
                coming = self._server.app(scope, exchange)
                if coming is not None:
                    self._task = asyncio.get_running_loop().create_task(self._serve(coming, exchange))
        finally:
            self._beginning = False

    async def _serve(self, coming: Coroutine[Any, Any, None], exchange: Exchange) -> None:
        try:
            await coming
        except Exception as error:  # noqa: BLE001 - the boundary
            log.error("a request was not answered", extra={"error": type(error).__name__})
        finally:
            if self._now is exchange:
                self.cut()

    def _stay(self, rest: bytes) -> None:
        """The parser leaves an upgrade's body to the new protocol; without one it is a body like any other."""
        scope, exchange = self._waiting[-1]
        exchange.keep = False
        coded, length = scope.headers.get("transfer-encoding"), scope.headers.get("content-length", "0")
        if scope.method == "CONNECT" or (coded is None and int(length) == 0):
            return
        exchange.begin_again()
        self._bare, self._parser = exchange, httptools.HttpRequestParser(self)
        framing = f"content-length: {length}" if coded is None else f"transfer-encoding: {coded}"
        try:
            self._parser.feed_data(f"POST / HTTP/1.1\r\n{framing}\r\n\r\n".encode("latin-1") + rest)
        except httptools.HttpParserError as error:
            self._begin()
            self._refuse(problem.no_http(str(error)))

    def _pause(self) -> None:
        if not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def _refuse(self, refused: Problem) -> None:
        """What is not a request gets a problem, too, after the answers that are due, and the connection ends."""
        transport = self._transport
        if transport is None or self._lingered >= 0:
            return
        self._waiting.clear()
        if self._now is None and self._coming is not None and self._coming.answered:
            self._leave(whole=False)  # it has its answer: a second one would be taken for the next request's
        elif self._now is None:
            request_id = uuid7(time.time_ns() // 1_000_000)
            told = refused.body(request_id)
            said = {"content-type": problem.CONTENT_TYPE, "x-request-id": request_id, **dict(refused.headers)}
            head = [f"{name}: {value}\r\n" for name, value in said.items()]
            head.append(f"connection: close\r\ncontent-length: {len(told)}\r\n\r\n")
            transport.write(_LINES[refused.status] + "".join(head).encode("latin-1") + told)
            self._leave(whole=False)
        else:
            self._now.keep = False
            self._now.lost()

    def _leave(self, *, whole: bool) -> None:
        """Closes after the last answer; what still comes of a body is read away, or the answer might not be heard."""
        assert self._transport is not None
        self._waiting.clear()
        if whole:
            self._transport.close()
            return
        self._lingered, self._deadline = 0, time.monotonic() + LINGER_S
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self.read_on()


def _origin_form(url: bytes) -> bytes:
    """The path and query of a URL in any of the forms that a request line may have."""
    try:
        parsed = httptools.parse_url(url)
    except httptools.HttpParserError:
        return url  # such as *
    path = parsed.path or b"/"
    return path + b"?" + parsed.query if parsed.query else path
