"""A client for a Router without a socket: the same calls that the server makes, for tests of every door."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import msgspec

from foryou.contract.secret_ring import new_ring
from foryou.service.callers import Callers
from foryou.service.keys import EVERY_SCOPE, KeyRing, Scope, key_of
from foryou.service.tokens import Tokens
from foryou.service.web import Headers, Router


@dataclass(frozen=True)
class FixedKeys:
    """A key file that never changes."""

    ring: KeyRing


def known_keys(keys: Mapping[str, str], scopes: Iterable[Scope] = EVERY_SCOPE, tokens: Tokens | None = None) -> Callers:
    """Callers who have these keys (key → app id), all with the same scopes."""
    ring = KeyRing(tuple(key_of(text, app_id, scopes, 0) for text, app_id in keys.items()))
    return Callers(FixedKeys(ring), tokens or known_tokens())


def known_tokens() -> Tokens:
    """Tokens under a secret of their own."""
    ring = new_ring()
    return Tokens(lambda: ring)


@dataclass(frozen=True)
class Answer:
    """What the client gets."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The decoded body."""
        return msgspec.json.decode(self.body)


@dataclass
class _Scope:
    method: str
    path: str
    query_string: str
    headers: Headers
    client: str


class _Exchange:
    def __init__(self, pieces: Iterable[bytes], pause_s: float) -> None:
        self._pieces = list(pieces)
        self._pause_s = pause_s
        self.answer: Answer | None = None

    def whole(self) -> bytes | None:
        return None

    async def __call__(self) -> bytes:
        return b"".join([piece async for piece in self])

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            if self._pause_s:
                await asyncio.sleep(self._pause_s)
            yield piece

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        assert self.answer is None, "answered twice"
        self.answer = Answer(status, dict(headers), body)


async def ask(
    app: Router,
    method: str,
    target: str,
    body: bytes | Iterable[bytes] = b"",
    headers: Mapping[str, str] | None = None,
    *,
    pause_s: float = 0.0,
    client: str = "127.0.0.1:1",
) -> Answer:
    """One request; a body given in pieces goes chunked, with `pause_s` before each piece."""
    path, _, query = target.partition("?")
    named = {name.lower(): value for name, value in (headers or {}).items()}
    if not isinstance(body, bytes):
        named.setdefault("transfer-encoding", "chunked")
    elif body:
        named.setdefault("content-length", str(len(body)))
    exchange = _Exchange([body] if isinstance(body, bytes) else body, pause_s)
    scope = _Scope(method, unquote(path, errors="replace"), query, named, client)  # decoded, as the server does
    coming = app(scope, exchange)
    if coming is not None:
        await coming
    assert exchange.answer is not None, "not answered"
    return exchange.answer
