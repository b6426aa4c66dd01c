"""What a protocol is: it reads a request into events as the contract takes them, and says how it answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from foryou.collector.split import Unsplittable
from foryou.contract.events import MAX_BATCH, MAX_DEPTH
from foryou.contract.gate import Accepted, Refused, read_object
from foryou.service.problem import Problem
from foryou.service.web import Headers, Response

Verdicts = list[Accepted | Refused]
Item = Mapping[str, Any]
_encode = msgspec.json.encode


class Arrived(msgspec.Struct, frozen=True):
    """A request as a protocol reads it: the body is unpacked, `now_ms` is the time of an event that says none."""

    headers: Headers
    query_string: str
    body: bytes
    now_ms: int


class Parcel(msgspec.Struct, frozen=True):
    """What a request brought: events in the contract's JSON (or why there is none), each beside its own bytes.

    `single`: it was one event, so its refusal is the whole answer. `key`: the write key, where the body has it.
    """

    events: list[bytes | Refused]
    originals: list[bytes]
    single: bool = False
    key: str | None = None


class Way(msgspec.Struct, frozen=True):
    """The way that refused bytes came by. The path holds raw ids: it is sealed, as the body is.

    `whole`: the bytes are a whole body in which no events could be told apart, not one event of it.
    """

    method: str
    path: str
    content_type: str
    content_encoding: str = ""
    whole: bool = False


@dataclass(frozen=True)
class Protocol:
    """One way to send events. `paths` are (method, path); `name` is said in the documents.

    `read` raises Unsplittable where no events can be told apart. `again` reads what a dead letter kept of one event,
    so that it can be sent through a mended mapping. `answer` gets the verdicts and `single`; `refuse` gives a refusal
    the members that this protocol's clients look for. `key_in`: the member that holds the write key; a body that
    comes without a key beside it is read before it is known whose it is. `kept_as`: the way of what a dead letter
    keeps of one event, where that is not what came.
    """

    name: str
    paths: tuple[tuple[str, str], ...]
    read: Callable[[Arrived], Parcel]
    again: Callable[[bytes, int], bytes | Refused]
    answer: Callable[[Verdicts, bool], Response]
    refuse: Callable[[Problem], Problem] = field(default=lambda problem: problem)
    key_in: str | None = None
    kept_as: Way | None = None


def decoded(body: bytes, kind: type[msgspec.Struct] | Any) -> Any:
    """The envelope in a body. Raises Unsplittable: not JSON, too deep, or not of this shape.

    What is far too deep ends the decoder's own recursion; what is a little too deep is seen event by event.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        detail, _, path = str(error).partition(" - at `")
        raise refused_whole("not_json", path.rstrip("`") or "$", detail, "send the JSON that this door takes") from None
    except RecursionError:
        told = f"nested deeper than {MAX_DEPTH} levels"
        raise refused_whole("too_deep", "$", told, f"nest at most {MAX_DEPTH} levels") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise refused_whole("not_json", "$", str(error)[:120], "send valid JSON, encoded as UTF-8") from None


def refused_whole(reason: str, path: str, detail: str, remedy: str, status: int = 400) -> Unsplittable:
    """A body without events."""
    return Unsplittable(Problem(status, "Not events", detail, path, remedy, reason=reason))


def counted(originals: list[bytes], path: str) -> list[bytes]:
    """The items, unless they are none or too many: then raises Unsplittable."""
    if not originals:
        raise refused_whole("empty", path, "the batch has no event in it", "send at least one event")
    if len(originals) > MAX_BATCH:
        told, remedy = f"{len(originals):,} events in one post", f"send at most {MAX_BATCH:,} events in one post"
        problem = Problem(413, "Too many events", told, path, remedy, reason="too_many_events")
        raise Unsplittable(problem, len(originals))
    return originals


def translated(original: bytes, translate: Callable[[dict[str, Any]], Item | Refused]) -> bytes | Refused:
    """One item's bytes through a mapping, into an event's bytes. Raises nothing."""
    item = read_object(original)
    if isinstance(item, Refused):
        return item
    event = translate(item)
    return event if isinstance(event, Refused) else _encode({k: v for k, v in event.items() if v is not None})


def query_of(query_string: str) -> dict[str, str]:
    """Query parameters. Raises Unsplittable when they are more than 100."""
    try:
        return dict(parse_qsl(query_string, keep_blank_values=True, max_num_fields=100))
    except ValueError:
        told, remedy = "there are more than 100 parameters", "send those that you need"
        raise refused_whole("bad_parameter", "query", told, remedy) from None


def unmapped(what: str, remedy: str, lane: Any = None) -> Refused:
    """Something that is no event of ours, in a protocol that has more kinds of things than we have."""
    return Refused("no_mapping", "event_type", f"{what} is no event here", remedy, lane=lane)
