"""A body into the bytes of its events: one object, an array, or newline-delimited JSON. Each keeps its own bytes."""

import msgspec

from foryou.contract.depth import TOKEN
from foryou.contract.events import MAX_BATCH
from foryou.service.problem import Problem

_NDJSON = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines")
_JSON = ("application/json", "text/plain", "")  # text/plain: what a browser's sendBeacon can send without a preflight
_raw = msgspec.json.Decoder(msgspec.Raw)
_raws = msgspec.json.Decoder(list[msgspec.Raw])


class Batch(msgspec.Struct, frozen=True):
    """The events of one body, in order; `single`: the body was one event, so its refusal is the whole answer."""

    events: list[bytes]
    single: bool


class Unsplittable(Exception):
    """No events can be told apart in this body. `count` of them were lost with it, as far as one can tell."""

    def __init__(self, problem: Problem, count: int = 1) -> None:
        super().__init__(str(problem))
        self.problem = problem
        self.count = count


def split(body: bytes, content_type: str) -> Batch:
    """The events in `body`. Raises Unsplittable, with what to answer."""
    kind = media_type(content_type)
    if kind in _NDJSON:
        return _counted(_lines(body))
    if kind not in _JSON:
        remedy = "send application/json (an event or an array) or application/x-ndjson (an event per line)"
        raise _bad_type(f"{kind[:80]!r} is not a type that events come in", remedy)
    text = body.strip()
    if text.startswith(b"["):
        return _counted(_array(text))
    first, _, more = text.partition(b"\n")
    if more and first.startswith(b"{") and first.rstrip().endswith(b"}") and not _is_json(text):
        return _counted(_lines(text))
    if not text:
        raise Unsplittable(_bad("empty", "the body is empty", "send an event, an array, or an event per line"))
    return Batch([text], single=True)


def media_type(content_type: str) -> str:
    """The type in a Content-Type. Raises Unsplittable when its charset is not UTF-8."""
    kind, *parameters = content_type.split(";")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        charset = value.strip().strip('"').lower()
        if name.strip().lower() == "charset" and charset not in ("utf-8", "utf8"):
            raise _bad_type(
                f"a body in {charset[:40]!r} is not taken", "encode the body as UTF-8 and say charset=utf-8"
            )
    return kind.strip().lower()


def _counted(events: list[bytes]) -> Batch:
    if not events:
        raise Unsplittable(_bad("empty", "the batch has no event in it", "send at least one event"))
    if len(events) > MAX_BATCH:
        too_many = Problem(
            413,
            "Too many events",
            f"{len(events):,} events in one post",
            "$",
            f"send at most {MAX_BATCH:,} events in one post",
            reason="too_many_events",
        )
        raise Unsplittable(too_many, len(events))
    return Batch(events, single=False)


def _lines(body: bytes) -> list[bytes]:
    return [line for piece in body.split(b"\n") if (line := piece.strip())]


def _array(text: bytes) -> list[bytes]:
    try:  # the depth of each event is the gate's matter; this decoder gives up on what is too deep for it
        return [bytes(event) for event in _raws.decode(text)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _by_brackets(text)


def _by_brackets(text: bytes) -> list[bytes]:
    """The elements of an array that is no valid JSON, so that one poisoned event does not hold back its batch."""
    elements: list[bytes] = []
    depth, start, end = 0, 1, len(text) - 1
    for token in TOKEN.finditer(text):
        mark = token[0]
        if mark in b"{[":
            depth += 1
        elif mark in b"}]":
            depth -= 1
            if depth == 0 and token.start() != end:
                raise _not_json(f"something follows the array's end at byte {token.start()}")
        elif mark == b"," and depth == 1:
            elements.append(text[start : token.start()].strip())
            start = token.end()
    if depth != 0 or text[-1:] != b"]":
        raise _not_json("the array has no end")
    return [*elements, text[start:end].strip()]


def _is_json(text: bytes) -> bool:
    try:
        _raw.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _not_json(detail: str) -> Unsplittable:
    return Unsplittable(_bad("not_json", detail, "send valid JSON, encoded as UTF-8"))


def _bad_type(detail: str, remedy: str) -> Unsplittable:
    return Unsplittable(
        Problem(415, "Unsupported media type", detail, "content-type", remedy, reason="bad_content_type")
    )


def _bad(reason: str, detail: str, remedy: str) -> Problem:
    return Problem(400, "Not events", detail, "$", remedy, reason=reason)
