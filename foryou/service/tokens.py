"""Tokens: a key's word that one request may see one person's things for a while. JWTs, HS256 and nothing else.

The person is in there as their key (`uk_…`, `dk_…`), never by the app's id: a token in a log names nobody. A token
cannot be taken back before it expires, other than by a new signing secret: that is why it lives an hour.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt

from foryou.contract.secret_ring import SecretRing
from foryou.service.keys import Caller, Scope

FEED = "feed"  # audience: one person's feed and features
REPLAY = "replay"  # audience: the collector's doors, for dead letters of one app
ISSUER = "foryou"
DEFAULT_TTL_S = 3_600
MAX_TTL_S = 86_400
_JWT = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)


class BadToken(Exception):
    """Why a token opens nothing, in words for its owner."""


@dataclass(frozen=True)
class Tokens:
    """Makes and reads tokens under a ring of secrets, as it is now."""

    ring: Callable[[], SecretRing] = field(repr=False)

    def issue(self, app_id: str, user_key: str, audience: str, now_s: int, ttl_s: int = DEFAULT_TTL_S) -> str:
        """A token for one person of an app, until `now_s + ttl_s`."""
        claims = {"iss": ISSUER, "aud": audience, "app": app_id, "sub": user_key, "iat": now_s, "exp": now_s + ttl_s}
        ring = self.ring()
        secret = bytes.fromhex(ring.secrets[ring.current])
        return jwt.encode(claims, secret, algorithm="HS256", headers={"kid": ring.current})

    def read(self, text: str, audience: str, now_s: int) -> Caller:
        """The caller that a token makes. Raises BadToken."""
        claims = self._claims(text, audience)
        if now_s >= claims["exp"]:
            raise BadToken("the token has expired")
        scopes = {Scope.EVENTS_WRITE, Scope.DLQ_REPLAY} if audience == REPLAY else set()
        return Caller(claims["app"], frozenset(scopes), f"token:{audience}", user_key=claims["sub"])

    def _claims(self, text: str, audience: str) -> Mapping[str, Any]:
        try:
            secret = self.ring().secrets[jwt.get_unverified_header(text)["kid"]]
            claims: Mapping[str, Any] = jwt.decode(
                text,
                bytes.fromhex(secret),
                algorithms=["HS256"],
                audience=audience,
                issuer=ISSUER,
                options={
                    "require": ["exp", "aud", "iss", "sub"],
                    # the clock is an argument here; and a phone's second ahead of ours is no forgery
                    "verify_exp": False,
                    "verify_iat": False,
                },
            )
        except (jwt.PyJWTError, KeyError, TypeError):
            raise BadToken("the token is not one of ours, or is for something else") from None
        if not isinstance(claims.get("app"), str) or not isinstance(claims["exp"], int):
            raise BadToken("the token lacks its app or its end")
        return claims


def looks_like_token(text: str) -> bool:
    """Whether this is a token rather than a key."""
    return text.startswith("eyJ") and _JWT.fullmatch(text) is not None
