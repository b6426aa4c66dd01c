"""What went wrong, told to a client as problem+json (RFC 9457): which field, and how to mend it."""

import math
from collections.abc import Iterable
from typing import Any

import msgspec

CONTENT_TYPE = "application/problem+json"


class Problem(Exception):
    """An answer that is not a success. `reason` is a stable code; `field` is a JSON path, header or parameter."""

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        field: str | None = None,
        remedy: str | None = None,
        *,
        reason: str = "refused",
        headers: tuple[tuple[str, str], ...] = (),
        **more: Any,
    ) -> None:
        super().__init__(f"{status} {title}: {detail}")
        self.status = status
        self.title = title
        self.detail = detail
        self.field = field
        self.remedy = remedy
        self.reason = reason
        self.headers = headers
        self.more = more  # members beyond the RFC's, such as `results`

    def body(self, request_id: str | None = None) -> bytes:
        """The JSON document; members that say nothing are left out."""
        members = {
            "type": f"urn:foryou:problem:{self.reason}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "reason": self.reason,
            "field": self.field,
            "remedy": self.remedy,
            "request_id": request_id,
            **self.more,
        }
        return msgspec.json.encode({name: value for name, value in members.items() if value is not None})


def method_not_allowed(method: str, allowed: Iterable[str]) -> Problem:
    """405, with the methods of the path in the remedy and in `Allow`."""
    methods = ", ".join(sorted(allowed))
    return Problem(
        405,
        "Method not allowed",
        f"{method[:16]} is not a method of this path",
        "method",
        f"use {methods}",
        reason="method_not_allowed",
        headers=(("allow", methods),),
    )


def no_http(why: str) -> Problem:
    """400 for what is no request; `why` in the parser's words, which hold none of the client's."""
    told, remedy = f"this is no HTTP/1.1: {why or 'not a request'}", "send a request as RFC 9112 has it"
    return Problem(400, "Bad request", told, "head", remedy, reason="bad_http")


def head_too_large(most: str) -> Problem:
    """431, with what a head may have."""
    told = f"a head has at most {most} here"
    return Problem(431, "Head too large", told, "head", "send fewer and shorter headers", reason="head_too_large")


def limited(detail: str, wait_s: float, **more: Any) -> Problem:
    """429 with Retry-After: nothing was taken, the client keeps what it has and waits."""
    seconds = max(1, math.ceil(wait_s))
    return Problem(
        429,
        "Too many requests",
        detail,
        remedy=f"keep what you have and send it again after {seconds} s, with the same event ids",
        reason="rate_limited",
        headers=(("retry-after", str(seconds)),),
        **more,
    )


def unavailable(detail: str, retry_after_s: int = 1, **more: Any) -> Problem:
    """503 with Retry-After: nothing was taken, the client keeps what it has and sends it again."""
    return Problem(
        503,
        "Not available",
        detail,
        remedy=f"keep the events and send them again after {retry_after_s} s, with the same event ids",
        reason="unavailable",
        headers=(("retry-after", str(retry_after_s)),),
        **more,
    )
