"""HTTP/1.1 over a bounded set of kept-alive loopback connections: what a phone needs, cheap enough for a load."""

import asyncio
import ipaddress
from dataclasses import dataclass
from types import TracebackType
from urllib.parse import urlsplit

MAX_ANSWER_BYTES = 64 << 20


class NotLoopback(ValueError):
    """The simulator speaks to this machine only: its people are not real, and nobody else should count them."""


@dataclass(frozen=True)
class Answer:
    """Status, headers (names in lower case) and body of one answer."""

    status: int
    headers: dict[str, str]
    body: bytes


def loopback(url: str) -> tuple[str, int]:
    """Host and port of an http URL on loopback. Raises NotLoopback for any other."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "http" or parts.port is None:
        raise NotLoopback(f"a phone needs http://host:port on loopback, not {url}")
    try:
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local:
        raise NotLoopback(f"{host} is not on loopback: the simulator refuses to send made-up events elsewhere")
    return host, parts.port


class Connection:
    """One kept-alive connection; reopens when it was closed. Not for two requests at once."""

    def __init__(self, host: str, port: int) -> None:
        self._at = (host, port)
        self._pipes: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def request(self, method: str, path: str, headers: str, body: bytes) -> Answer:
        """One request, one answer. Raises OSError when none came; the request may have arrived all the same."""
        if self._pipes is not None and self._pipes[0].at_eof():
            self.close()  # the server closed it while idle: nothing of this request was sent
        if self._pipes is None:
            self._pipes = await asyncio.open_connection(*self._at, limit=1 << 20)
        reader, writer = self._pipes
        host, port = self._at
        head = f"{method} {path} HTTP/1.1\r\nHost: {host}:{port}\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
        try:
            writer.write(head.encode("latin-1") + body)
            await writer.drain()
            answer = await _read_answer(reader)
        except asyncio.IncompleteReadError as error:
            self.close()
            raise ConnectionResetError("the connection closed in the middle of an answer") from error
        except BaseException:
            self.close()  # half an answer may still be on its way: never reuse
            raise
        if answer.headers.get("connection", "").lower() == "close":
            self.close()
        return answer

    def close(self) -> None:
        """Closes the socket, if open."""
        if self._pipes is not None:
            self._pipes[1].close()
            self._pipes = None


async def _read_answer(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = int(head[0].split(" ", 2)[1])
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)
    }
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return Answer(status, headers, await _read_chunks(reader))
    length = int(headers.get("content-length", "0"))
    if length > MAX_ANSWER_BYTES:
        raise ConnectionAbortedError(f"an answer of {length} bytes is more than a phone takes")
    return Answer(status, headers, await reader.readexactly(length) if length else b"")


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    chunks = bytearray()
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        if len(chunks) + size > MAX_ANSWER_BYTES:
            raise ConnectionAbortedError("an endless answer")
        chunks += (await reader.readexactly(size + 2))[:-2]
    await reader.readuntil(b"\r\n")
    return bytes(chunks)


class Door:
    """One address behind at most `connections` connections; further requests wait their turn."""

    def __init__(self, url: str, connections: int, write_key: str = "", timeout_s: float = 30.0) -> None:
        host, port = loopback(url)
        self._all = [Connection(host, port) for _ in range(connections)]
        self._free: asyncio.LifoQueue[Connection] = asyncio.LifoQueue()
        for connection in self._all:
            self._free.put_nowait(connection)
        self._headers = f"Authorization: Bearer {write_key}\r\n" if write_key else ""
        self._timeout_s = timeout_s

    async def get(self, path: str) -> Answer:
        """GET. Raises OSError when no answer came (TimeoutError among them)."""
        return await self._request("GET", path, "", b"")

    async def post(self, path: str, body: bytes, content_type: str = "application/json") -> Answer:
        """POST. Raises OSError when no answer came (TimeoutError among them)."""
        return await self._request("POST", path, f"Content-Type: {content_type}\r\n", body)

    async def _request(self, method: str, path: str, headers: str, body: bytes) -> Answer:
        connection = await self._free.get()
        try:
            async with asyncio.timeout(self._timeout_s):
                return await connection.request(method, path, self._headers + headers, body)
        finally:
            self._free.put_nowait(connection)

    async def __aenter__(self) -> "Door":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for connection in self._all:
            connection.close()
