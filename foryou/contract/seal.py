"""Bytes that only this stack reads again: AES-256-GCM, under a ring of secrets that can be rotated.

    "FYS1", length of the secret's id, the id, 12 random bytes, ciphertext with its 16 bytes of proof

The id in front says which secret opens it, and is authenticated with the rest. A random nonce of 96 bits is safe for
some 2³² seals under one secret (NIST SP 800-38D): rotate long before.
"""

import os
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from foryou.contract.secret_ring import SecretRing

MAGIC = b"FYS1"
NONCE_BYTES = 12


class CannotOpen(ValueError):
    """Why sealed bytes stay shut, in words."""


class Seal:
    """Seals and opens. Calling it seals, so that it fits wherever bytes become bytes."""

    def __init__(self, ring: Callable[[], SecretRing], purpose: str) -> None:
        self._ring = ring
        self._purpose = purpose.encode()  # what was sealed for one thing does not open as another
        self._ciphers: dict[str, AESGCM] = {}

    def __call__(self, plain: bytes) -> bytes:
        """The sealed bytes, under the current secret."""
        ring = self._ring()
        head = _head(ring.current)
        nonce = os.urandom(NONCE_BYTES)
        return head + nonce + self._cipher(ring, ring.current).encrypt(nonce, plain, self._purpose + head)

    def open(self, sealed: bytes) -> bytes:
        """What was sealed. Raises CannotOpen."""
        name, ring = secret_of(sealed), self._ring()
        if name not in ring.secrets:
            raise CannotOpen(f"the secret {name} is not known here")
        start = len(_head(name))
        nonce, shut = sealed[start : start + NONCE_BYTES], sealed[start + NONCE_BYTES :]
        try:
            return self._cipher(ring, name).decrypt(nonce, shut, self._purpose + sealed[:start])
        except (InvalidTag, ValueError):
            raise CannotOpen("the bytes were changed, or sealed by another stack") from None

    def _cipher(self, ring: SecretRing, name: str) -> AESGCM:
        if name not in self._ciphers:
            self._ciphers[name] = AESGCM(bytes.fromhex(ring.secrets[name])[:32])
        return self._ciphers[name]


def secret_of(sealed: bytes) -> str:
    """The id of the secret that opens it. Raises CannotOpen for what is not sealed."""
    if not sealed.startswith(MAGIC) or len(sealed) < 5 or len(sealed) < 5 + sealed[4]:
        raise CannotOpen("these bytes are not sealed")
    try:
        return sealed[5 : 5 + sealed[4]].decode("ascii")
    except UnicodeDecodeError:
        raise CannotOpen("these bytes are not sealed") from None


def _head(name: str) -> bytes:
    text = name.encode("ascii")
    return MAGIC + bytes((len(text),)) + text
