"""What the mappings of all protocols have in common: names of events and fields, ids, times, and what is left over.

Nothing here refuses: a value that cannot be mapped goes on as it is, and the gate says what is wrong with it.
"""

import re
import uuid
from collections.abc import Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

import msgspec

from foryou.contract.events import MAX_PROPERTIES, TYPES, ClientEvent, Context, Lane

NAMESPACE = uuid.UUID("5b8f3a52-9d0c-5c0e-8a43-6d1f0f0b7c11")  # of ids made here; never change it
ABOUT_A_PERSON = frozenset(name for name, known in TYPES.items() if "target_user_id" in known.requires)
OPEN_SCREEN = "screen"  # the property in which a page's or screen's name is kept
MOST_LOOKED_AT = 100  # of an event's properties: an event with more is an attack, and shall not hold the others up
_OF_VIDEOS = frozenset(
    ("creator_id", "category", "hashtags", "title", "language", "region", "music_id", "published_at", "moderation")
)
_OF_ACCOUNTS = frozenset(("birth_year", "jurisdiction", "language", "region"))
_OF_TAPS = (
    frozenset(ClientEvent.__struct_fields__)
    - _OF_VIDEOS
    - _OF_ACCOUNTS
    - {"event_type", "event_id", "context", "consent", "properties"}
)
_OF_LANE = {Lane.CONTENT: _OF_TAPS | _OF_VIDEOS, Lane.ACCOUNT: _OF_TAPS | _OF_ACCOUNTS}
_NUMBERS = frozenset(("seq", "position", "loops", "text_length", "birth_year"))
_CONTEXT = frozenset(Context.__struct_fields__)
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[A-Z]|[0-9]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def snake(name: str) -> str:
    """`Video Playback Started`, `videoPlaybackStarted` and `video-playback-started` as `video_playback_started`."""
    return _snake(name[:128])


@lru_cache(maxsize=4_096)
def _snake(name: str) -> str:
    return "_".join(_WORDS.findall(name)).lower()


def event_type(name: Any, more: Mapping[str, str] | None = None) -> str | None:
    """The event type that a name means: one of ours in any spelling, or one of the protocol's own table `more`."""
    if not isinstance(name, str):
        return None
    plain = snake(name)
    return plain if plain in TYPES else (more or {}).get(plain)


def event_id(given: Any, source: str) -> Any:
    """A UUID as it is; of any other id a UUID that is the same at every sending; None where there is none."""
    if given is None or given == "":
        return None
    if isinstance(given, str) and _UUID.fullmatch(given):
        return given
    return same_id(source, given if isinstance(given, str) else repr(given)[:256])


def same_id(*parts: str) -> str:
    """A UUID (version 5) that is the same whenever the same thing is said again."""
    return str(uuid.uuid5(NAMESPACE, "\x1f".join(parts).encode("utf-8", "surrogatepass").decode("utf-8", "replace")))


def text(value: Any) -> Any:
    """A whole number as text, for ids that other systems keep as numbers; everything else as it is."""
    return str(value) if type(value) is int and abs(value) < 10**18 else value


def member(item: Mapping[str, Any], *path: str) -> Any:
    """A member of a member, or None where there is no such thing."""
    found: Any = item
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def members(item: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """An object in an object; an empty one where there is none."""
    found = member(item, *path)
    return found if isinstance(found, Mapping) else {}


def first(*values: Any) -> Any:
    """The first that says something."""
    return next((value for value in values if value is not None and value != ""), None)


def ms_of_seconds(value: Any) -> Any:
    """Whole milliseconds of seconds; what is no number as it is."""
    number = _number(value)
    return value if number is None else round(number * 1000)


def whole(value: Any) -> Any:
    """A whole number that came as text or with a zero fraction; everything else as it is."""
    number = _number(value)
    return value if number is None or number != int(number) else int(number)


def _number(value: Any) -> float | int | None:
    """A number small enough to reckon with."""
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]{1,9})?", value, re.ASCII):
        value = float(value) if "." in value else int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e15:
        return None
    return value


def spread(properties: Mapping[str, Any], event: dict[str, Any], used: frozenset[str] = frozenset()) -> None:
    """Properties into an event whose type is known: what is named as a field of its lane, in any spelling, becomes
    that field where nothing is said yet; the rest becomes `properties`, but for the names that were `used`."""
    known = TYPES.get(event.get("event_type", ""))
    ours = _OF_TAPS if known is None else _OF_LANE.get(known.lane, _OF_TAPS)
    rest: dict[str, Any] = {}
    for name, value in islice(properties.items(), MOST_LOOKED_AT):
        field = snake(name)
        if name in used:
            continue
        if field not in ours:
            rest[name] = value
        elif event.get(field) is None:
            event[field] = fitted(field, value)
    kept = leftovers({**rest, **event.get("properties", {})})
    if kept:
        event["properties"] = kept


def fitted(field: str, value: Any) -> Any:
    """A value in the type that its field has, where that is beyond doubt: ids and words of whole numbers, numbers of
    text, milliseconds of fractions."""
    if field.endswith("_ms"):
        number = _number(value)
        return value if number is None else round(number)
    if field in _NUMBERS:
        return whole(value)
    return text(value)


def leftovers(properties: Mapping[str, Any]) -> dict[str, str]:
    """Properties as the contract takes them: text to text. Nested ones as JSON; what is too long is cut, what has no
    fitting name or comes after the 32nd is left out."""
    kept: dict[str, str] = {}
    for name, value in properties.items():
        if value is None or not 0 < len(name) <= 64 or _CONTROL.search(name):
            continue
        said = value if isinstance(value, str) else msgspec.json.encode(value).decode("utf-8")
        kept[name] = said.replace("\x00", "")[:256]
        if len(kept) == MAX_PROPERTIES:
            break
    return kept


def word(value: Any) -> Any:
    """A word of at most 64 characters of what describes a device; None of what is no text or number."""
    said = str(value) if type(value) in (int, float) else value
    return _CONTROL.sub("", said)[:64] or None if isinstance(said, str) else None


def context(**said: Any) -> dict[str, str] | None:
    """A context of what is known of it."""
    known = {name: found for name, value in said.items() if (found := word(value)) is not None}
    assert known.keys() <= _CONTEXT
    return known or None


def purposes(said: Any) -> dict[str, bool] | None:
    """Consent by purpose, of those that are true or false."""
    if not isinstance(said, Mapping):
        return None
    granted = {name: yes for name, yes in said.items() if isinstance(yes, bool) and len(name) <= 64}
    return granted or None
