"""Secrets by id: one is used for what is new, the others still open what is old."""

import secrets

import msgspec


class SecretRing(msgspec.Struct, frozen=True):
    """Secrets (hex, 256 bits) by id, oldest first, and which is current. They are not for a log."""

    current: str
    secrets: dict[str, str]

    def __repr__(self) -> str:
        return f"SecretRing(current={self.current!r}, {len(self.secrets)} secrets)"

    def rotated(self, keep: int) -> "SecretRing":
        """A new current secret; of the old ones the newest stay, so that `keep` are known."""
        made = new_ring()
        old = list(self.secrets.items())
        return SecretRing(made.current, {**dict(old[max(0, len(old) - keep + 1) :]), **made.secrets})


def new_ring() -> SecretRing:
    """A ring with one secret."""
    name = secrets.token_hex(4)
    return SecretRing(name, {name: secrets.token_hex(32)})


def decode_ring(text: bytes) -> SecretRing:
    """The ring in a file. Raises ValueError."""
    ring = msgspec.json.decode(text, type=SecretRing)
    if any(len(bytes.fromhex(secret)) < 32 for secret in ring.secrets.values()) or ring.current not in ring.secrets:
        raise ValueError("a secret has at least 32 bytes, and the current one is among them")
    return ring


def encode_ring(ring: SecretRing) -> bytes:
    """The file's text."""
    return msgspec.json.format(msgspec.json.encode(ring), indent=1) + b"\n"
