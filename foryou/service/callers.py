"""Who a request comes from: a key or a token in its headers, or a problem that says what is missing."""

import base64
import binascii
import time
from collections.abc import Callable
from typing import Protocol

from foryou.service.keys import Caller, KeyRing, Scope
from foryou.service.problem import Problem
from foryou.service.tokens import FEED, BadToken, Tokens, looks_like_token
from foryou.service.web import Headers

WHERE_KEYS_ARE = "`foryou status` shows it"
REMEDY_KEY = (
    "send the app's write key as 'Authorization: Bearer <key>', as the Basic user, or (for a beacon) as ?write_key=; "
    + WHERE_KEYS_ARE
)
REMEDY_READER = (
    "send a service's key, or to read one person that person's token (`foryou token`, POST /v1/tokens), as "
    "'Authorization: Bearer <key>'; `foryou status` shows the development key"
)


class Keys(Protocol):
    """Where the keys of now come from: a KeyFile."""

    @property
    def ring(self) -> KeyRing: ...


class Callers:
    """Makes callers of headers."""

    def __init__(
        self, keys: Keys, tokens: Tokens, clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    ) -> None:
        self._keys, self._tokens, self._clock_ms = keys, tokens, clock_ms

    def authenticate(self, headers: Headers, audience: str) -> Caller:
        """The caller by `Authorization`: a key, or a token made for `audience`. Raises a 401 Problem."""
        header: str = headers.get("authorization") or ""
        text = key_in(header)
        if looks_like_token(text):
            try:
                return self._tokens.read(text, audience, self._clock_ms() // 1_000)
            except BadToken as bad:
                raise _unauthorized(str(bad), "ask for a new token: POST /v1/tokens, `foryou token`") from None
        if audience == FEED:
            said = "the key is not known here" if header else "there is no key and no token"
            return self.by_key(text, said, REMEDY_READER)
        return self.by_key(text, "the write key is not known here" if header else "there is no write key")

    def by_key(self, text: str, said: str = "the write key is not known here", remedy: str = REMEDY_KEY) -> Caller:
        """The caller by a key that came elsewhere than in `Authorization`. Raises a 401 Problem."""
        caller = self._keys.ring.find(text, self._clock_ms())
        if caller is None:
            raise _unauthorized(said, remedy)
        return caller


def require(caller: Caller, scope: Scope) -> Caller:
    """The caller, who has the scope. Raises a 403 Problem that names it."""
    if not caller.may(scope):
        told = f"this key does not have the scope {scope}"
        raise Problem(
            403,
            "Not allowed",
            told,
            "authorization",
            f"use a key with {scope}: `foryou keys list` shows who has what",
            reason="missing_scope",
        )
    return caller


def key_in(header: str) -> str:
    """The key in an Authorization header: a Bearer token, or the user of Basic; empty when there is none."""
    scheme, _, credentials = header.partition(" ")
    scheme = scheme.lower()
    if scheme == "bearer":
        return credentials.strip()
    if scheme == "basic":
        try:
            return base64.b64decode(credentials.strip(), validate=True).decode("utf-8").partition(":")[0]
        except (binascii.Error, UnicodeDecodeError, ValueError):
            return ""
    return ""


def _unauthorized(said: str, remedy: str) -> Problem:
    challenge = (("www-authenticate", 'Bearer realm="foryou", Basic realm="foryou"'),)
    return Problem(401, "Unauthorized", said, "authorization", remedy, reason="unauthorized", headers=challenge)
