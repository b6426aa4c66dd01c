"""The one function from client ids to the keys that are stored.

A key is a keyed HMAC, so that rotating or deleting the secret severs the link. It is idempotent: a key that
we gave out (a feed item's creator_id) comes back as itself, so an app can follow whom it was shown.
"""

import base64
import hashlib
import hmac
import re
from functools import lru_cache

_KEY = re.compile(r"(?:uk|dk)_[A-Za-z0-9_-]{22}")


class Identity:
    """Maps client ids to keys under the stack's one secret, of 32 bytes or more; a shorter one is a ValueError."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < 32:
            raise ValueError("an identity secret has at least 32 bytes; make one with secrets.token_bytes(32)")
        self._secret = secret
        self._key = lru_cache(maxsize=65_536)(self._map)  # bounded; a phone's events come in bursts

    def user_key(self, app_id: str, user_id: str) -> str:
        """`uk_` and 22 url-safe characters (128 bits) for a user or creator id of an app."""
        return user_id if is_key(user_id) else self._key("uk", app_id, user_id)

    def device_key(self, app_id: str, device_id: str) -> str:
        """`dk_` and 22 url-safe characters (128 bits) for a device id of an app."""
        return device_id if is_key(device_id) else self._key("dk", app_id, device_id)

    def _map(self, kind: str, app_id: str, client_id: str) -> str:
        digest = hmac.digest(
            self._secret, f"{kind}\0{app_id}\0{client_id}".encode("utf-8", "surrogatepass"), hashlib.sha256
        )
        return f"{kind}_{base64.urlsafe_b64encode(digest[:16]).decode('ascii').rstrip('=')}"


def is_key(text: str) -> bool:
    """Whether `text` already is a key."""
    return len(text) == 25 and _KEY.fullmatch(text) is not None
