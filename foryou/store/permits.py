"""Who may read and write features. From this machine everybody: whoever is on it reaches Kafka and the files, too.

From elsewhere a key of the app is asked for (features:read, features:write), or a token, which reads one person.
Feast's stock SDK sends one when its `auth` is of the type oidc with a `token`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from foryou.service.callers import Callers, require
from foryou.service.keys import Caller, Scope
from foryou.service.problem import Problem
from foryou.service.serving import is_loopback
from foryou.service.tokens import FEED
from foryou.service.web import Headers

READ = "/get-online-features"
WRITES = ("/push", "/write-to-online-store")
TILES = "/tiles/"


class Permits:
    """Asked before Feast sees a request. `host`: our own address, from which a client is on this machine."""

    def __init__(self, callers: Callers, host: str) -> None:
        self._callers, self._host = callers, host

    def asks(self, peer: str | None) -> bool:
        """Whether this client needs a key."""
        return peer is None or not (is_loopback(peer) or peer == self._host)

    def admit(self, method: str, path: str, query: str, headers: Headers, body: bytes) -> None:
        """Raises a 401 or 403 Problem."""
        caller = self._callers.authenticate(headers, FEED)
        reads = path == READ or path.startswith(TILES)
        if caller.user_key is None:
            require(caller, Scope.FEATURES_READ if reads or method == "GET" else Scope.FEATURES_WRITE)
            if path in WRITES:
                return _own(caller, _part(body, "df"), "df.")
            if not reads:
                if method != "GET":
                    require(caller, Scope.ADMIN)
                return None
        elif not reads:
            raise _not_yours("method", "a token reads one person's features and does nothing else")
        if path == READ:
            _own(caller, _part(body, "entities"), "entities.")
        else:
            _own(caller, {**dict(parse_qsl(query)), "user_key": path.rpartition("/")[2]}, "")


def _own(caller: Caller, said: Mapping[str, Any], prefix: str) -> None:
    """The caller's own app, and of a token its own person, and nothing else."""
    if _words(said.get("app_id")) - {caller.app_id} or not said.get("app_id"):
        raise _not_yours(f"{prefix}app_id", f"this key is of the app {caller.app_id}")
    if caller.user_key is not None and _words(said.get("user_key")) != {caller.user_key}:
        raise _not_yours(f"{prefix}user_key", "this token is for somebody else's features")


def _part(body: bytes, name: str) -> Mapping[str, Any]:
    try:
        said = msgspec.json.decode(body, type=dict[str, Any]).get(name)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return said if isinstance(said, dict) else {}


def _words(value: Any) -> set[str]:
    return set(map(str, value)) if isinstance(value, list) else {str(value)}


def _not_yours(field: str, told: str) -> Problem:
    return Problem(403, "Not allowed", told, field, "ask for your own, or use a service's key", reason="another_user")
