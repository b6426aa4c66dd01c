"""How deep JSON nests, told without decoding it."""

import re

from foryou.contract.events import MAX_DEPTH

# A string without end runs to the end of the text: so that no text is scanned twice.
TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{},]', re.DOTALL)
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"{[]}")


def depth_exceeds(event: bytes, limit: int = MAX_DEPTH) -> bool:
    """Whether arrays and objects nest deeper than `limit`. Of one event nearly always decided by counting brackets."""
    if event.count(b"{") + event.count(b"[") <= limit:
        return False
    if b"\\" in event:
        brackets = b"".join(token[0] for token in TOKEN.finditer(event) if token[0] in b"{[]}")
    else:  # every second piece between quotation marks is a string: quick, where a batch has thousands of them
        brackets = b"".join(event.split(b'"')[::2]).translate(None, _NO_BRACKETS)
    depth = 0
    for mark in brackets:
        if mark in b"{[":
            depth += 1
            if depth > limit:
                return True
        else:
            depth -= 1
    return False
