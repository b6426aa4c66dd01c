"""Which rules refused an event: a fingerprint that changes with the contract's fields, types and limits."""

import hashlib
from functools import cache

import msgspec

from foryou.contract.events import MAX_BATCH, MAX_BODY_BYTES, MAX_DEPTH, MAX_PROPERTIES, TYPES, ClientEvent


@cache
def contract_fingerprint() -> str:
    """12 hex digits of what a client may send. Rules that are code (see `gate.py`) are not in it."""
    types = {name: [known.lane.value, *known.requires] for name, known in sorted(TYPES.items())}
    limits = [MAX_BATCH, MAX_BODY_BYTES, MAX_DEPTH, MAX_PROPERTIES]
    said = [msgspec.json.schema(ClientEvent), types, limits]
    return hashlib.sha256(msgspec.json.encode(said, order="deterministic")).hexdigest()[:12]
