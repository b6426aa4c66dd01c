"""How deep JSON nests, told without decoding it."""

import re

from foryou.contract.events import MAX_DEPTH

# A string without end runs to the end of the text: so that no text is scanned twice.
TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{},]', re.DOTALL)


def depth_exceeds(event: bytes, limit: int = MAX_DEPTH) -> bool:
    """Whether arrays and objects nest deeper than `limit`. Nearly always decided by counting brackets."""
    if event.count(b"{") + event.count(b"[") <= limit:
        return False
    depth = 0
    for token in TOKEN.finditer(event):
        mark = token[0]
        if mark in b"{[":
            depth += 1
            if depth > limit:
                return True
        elif mark in b"}]":
            depth -= 1
    return False
