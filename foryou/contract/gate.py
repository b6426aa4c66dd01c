"""The gate: one event's bytes against the contract, and out as a record for its lane. Pure; the clock is an argument.

The usual event takes the short way through every check here; only an odd one pays for a closer look.
"""

import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec

from foryou.contract import plain
from foryou.contract.codec import Record
from foryou.contract.depth import depth_exceeds
from foryou.contract.events import EARLIEST_MS, FUTURE_MS, MAX_DEPTH, MAX_PROPERTIES, TYPES, ClientEvent, Lane
from foryou.contract.identity import Identity
from foryou.contract.ids import uuid7
from foryou.contract.never_stored import NeverStored

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_NIL = "00000000-0000-0000-0000-000000000000"  # what a client sends that forgot to make one
_AT = re.compile(r" - at (`key` in )?`\$\.?([^`]*)`$")
_MISSING = re.compile(r"missing required field `(\w+)`")
_MODERATIONS = ("allowed", "blocked")
E = TypeVar("E", bound=ClientEvent)
_decode = plain.decoder(ClientEvent)


class Accepted(msgspec.Struct, frozen=True, gc=False):  # made for every event: a dataclass takes four times as long
    """An event that may pass: its id, its lane, the record's key, and the record without any raw id of a person or
    device. (Ids of videos, sessions, requests and impressions stay as the app sent them.)"""

    event_id: str
    lane: Lane
    key: str
    record: Record
    flags: str | None = None  # why no person does this, as the door found
    removed: tuple[str, ...] = ()  # by which rule each property went that is never stored


@dataclass(frozen=True, slots=True)
class Refused:
    """An event that may not: a stable reason, the field, what was wrong, how to mend it."""

    reason: str
    field: str | None
    detail: str
    remedy: str
    event_id: str | None = None
    lane: Lane | None = None


class _No(Exception):
    def __init__(self, reason: str, field: str | None, detail: str, remedy: str) -> None:
        super().__init__(reason)
        self.said = (reason, field, detail, remedy)


class Gate:
    """Checks events of one stack; `identity` maps raw ids of people and devices to keys, and nothing after the gate
    sees a raw one."""

    def __init__(self, identity: Identity, never_stored: NeverStored | None = None) -> None:
        self._identity = identity
        self._never_stored = never_stored or NeverStored()

    def check(self, raw: bytes, app_id: str, now_ms: int, event_id: str | None = None) -> Accepted | Refused:
        """The verdict on one event's bytes, received at `now_ms` with a write key of `app_id`. Raises nothing.

        `event_id`: given if it has none.
        """
        try:
            event = _read(raw, _decode)
        except _No as no:
            return Refused(*no.said)
        return self.check_event(event, app_id, now_ms, event_id)

    def check_event(
        self, event: ClientEvent, app_id: str, now_ms: int, event_id: str | None = None
    ) -> Accepted | Refused:
        """The verdict on an event that `read_event` or `read_fields` has made; `event_id`: given if it has none."""
        try:
            return self._admit(event, app_id, now_ms, event_id)
        except _No as no:
            known = TYPES.get(event.event_type)
            return Refused(*no.said, event_id=event.event_id, lane=known.lane if known else None)

    def check_object(
        self, event: Mapping[str, Any], app_id: str, now_ms: int, event_id: str | None = None
    ) -> Accepted | Refused:
        """The verdict on an event that one of our own doors has made."""
        return self.check(msgspec.json.encode(event), app_id, now_ms, event_id)

    def _admit(self, event: ClientEvent, app_id: str, now_ms: int, given: str | None) -> Accepted:
        known = TYPES.get(event.event_type)
        if known is None:
            raise _No("unknown_type", "event_type", f"there is no event type {event.event_type!r}", _TYPES_REMEDY)
        for name in known.requires:
            if getattr(event, name) is None:
                raise _No("missing_field", name, f"{known.name} needs {name}", f"send {name} with every {known.name}")
        event_id = (given or uuid7(now_ms)) if event.event_id is None else _event_id(event.event_id)
        if event.properties is not None and len(event.properties) > MAX_PROPERTIES:
            told = f"{len(event.properties)} properties"
            raise _No("too_many", "properties", told, f"send at most {MAX_PROPERTIES} properties with an event")
        record: Record = {
            "event_id": event_id,
            "app_id": app_id,
            "event_type": event.event_type,
            "event_time": _time("event_time", event.event_time, now_ms),
            "sent_at": None if event.sent_at is None else _time("sent_at", event.sent_at, now_ms),
            "received_at": now_ms,
        }
        if known.lane is Lane.CONTENT:
            return Accepted(event_id, known.lane, self._content(event, app_id, now_ms, record), record)
        if known.lane is Lane.ACCOUNT:
            return Accepted(event_id, known.lane, self._account(event, app_id, record), record)
        removed: tuple[str, ...] = ()
        record["properties"] = event.properties or {}
        if event.properties:
            record["properties"], removed = self._never_stored.split(event.properties)
        return Accepted(event_id, known.lane, self._tap(event, app_id, record), record, removed=removed)

    def _tap(self, event: ClientEvent, app_id: str, record: Record) -> str:
        identity = self._identity
        device_key = None if event.device_id is None else identity.device_key(app_id, event.device_id)
        user_key = device_key if event.user_id is None else identity.user_key(app_id, event.user_id)
        if user_key is None:
            raise _No("missing_field", "user_id", "an event belongs to somebody", "send user_id, device_id, or both")
        target = None if event.target_user_id is None else identity.user_key(app_id, event.target_user_id)
        if event.event_type == "follow" and target == user_key:
            raise _No("bad_value", "target_user_id", "nobody follows themselves", "send the id of somebody else")
        record["user_key"] = user_key
        record["device_key"] = device_key
        record["target_user_key"] = target
        record["session_id"] = event.session_id
        record["seq"] = event.seq
        record["video_id"] = event.video_id
        record["impression_id"] = event.impression_id
        record["request_id"] = event.request_id
        record["position"] = event.position
        record["watch_ms"] = event.watch_ms
        record["duration_ms"] = event.duration_ms
        record["loops"] = event.loops
        record["text_length"] = event.text_length
        record["query"] = event.query
        record["startup_ms"] = event.startup_ms
        record["rebuffer_ms"] = event.rebuffer_ms
        record["consent"] = _granted(event.consent)
        context = event.context
        if context is not None:
            record["network"] = context.network
            record["device_model"] = context.device
            record["os"] = context.os
            record["app_version"] = context.app_version
            record["locale"] = context.locale
            record["region"] = context.region
        return f"{app_id}|{user_key}"

    def _content(self, event: ClientEvent, app_id: str, now_ms: int, record: Record) -> str:
        if event.moderation is not None and event.moderation not in _MODERATIONS:
            raise _No("bad_value", "moderation", f"{event.moderation!r} is no verdict", "send allowed or blocked")
        if event.duration_ms == 0:
            remedy = "send its length in milliseconds, from 1 to 86,400,000"
            raise _No("bad_value", "duration_ms", "a video has a length", remedy)
        creator, published = event.creator_id, event.published_at
        record["video_id"] = event.video_id
        record["creator_key"] = None if creator is None else self._identity.user_key(app_id, creator)
        record["duration_ms"] = event.duration_ms
        record["category"] = event.category
        record["hashtags"] = event.hashtags
        record["title"] = event.title
        record["language"] = event.language
        record["region"] = event.region
        record["music_id"] = event.music_id
        record["published_at"] = None if published is None else _time("published_at", published, now_ms)
        record["moderation"] = event.moderation
        return f"{app_id}|{event.video_id}"

    def _account(self, event: ClientEvent, app_id: str, record: Record) -> str:
        assert event.user_id is not None, "every account type requires user_id"
        user_key = self._identity.user_key(app_id, event.user_id)
        record["user_key"] = user_key
        record["region"] = event.region
        record["language"] = event.language
        record["birth_year"] = event.birth_year
        record["jurisdiction"] = event.jurisdiction
        record["consent"] = _granted(event.consent)
        return f"{app_id}|{user_key}"


def read_object(raw: bytes) -> dict[str, Any] | Refused:
    """The JSON object in a body that is not yet an event, or why there is none; no body is an empty object."""
    try:
        if not raw.strip():
            return {}
        _refuse_depth(raw)
        try:
            found = msgspec.json.decode(raw, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _No("not_json", "$", str(error), "send one JSON object, encoded as UTF-8") from None
        _refuse_double_keys(raw)
    except _No as no:
        return Refused(*no.said)
    return found


def _refuse_depth(raw: bytes) -> None:
    if depth_exceeds(raw):
        raise _No("too_deep", "$", f"nested deeper than {MAX_DEPTH} levels", f"nest at most {MAX_DEPTH} levels")


def read_event(raw: bytes, decode: Callable[[bytes], E]) -> E | Refused:
    """An event of its JSON by `decode`, a msgspec decoder of ClientEvent or of a struct made from it, or why
    it is none."""
    try:
        return _read(raw, decode)
    except _No as no:
        return Refused(*no.said)


def read_fields(fields: Mapping[str, Any], kind: type[E]) -> E | Refused:
    """An event of values that are Python's already, by the same rules as JSON (no number for a string); or why it is
    none."""
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        return Refused(*_mismatch(str(error)).said)


def read_time(name: str, value: int | str) -> int | Refused:
    """UTC ms of a time as the contract takes it, or why it is none; whether it is still to come is the caller's
    matter."""
    try:
        return _time(name, value, sys.maxsize)
    except _No as no:
        return Refused(*no.said)


def _read(raw: bytes, decode: Callable[[bytes], E]) -> E:
    _refuse_depth(raw)
    try:
        event = decode(raw)
    except msgspec.ValidationError as error:
        raise _mismatch(str(error)) from None
    except msgspec.DecodeError as error:
        raise _No("not_json", "$", str(error), "send valid JSON, encoded as UTF-8, without NaN or Infinity") from None
    except UnicodeDecodeError as error:
        raise _No("not_json", "$", f"not UTF-8: {error.reason} at byte {error.start}", "encode JSON as UTF-8") from None
    if raw.count(b":") != _colons(event):
        _refuse_double_keys(raw)
    return event


def _colons(event: ClientEvent) -> int:
    """How many colons the event's JSON has when no key comes twice, for the plain event without surprises.

    Every key brings a colon, so as many colons as distinct keys means that no key came twice.
    """
    fields = msgspec.structs.astuple(event)
    colons = len(fields) - fields.count(None)
    if event.properties:
        colons += len(event.properties)
    if event.consent:
        colons += len(event.consent)
    if event.context is not None:
        colons += 6 - msgspec.structs.astuple(event.context).count(None)
    if type(event.event_time) is str:
        colons += event.event_time.count(":")
    if type(event.sent_at) is str:
        colons += event.sent_at.count(":")
    return colons


def _refuse_double_keys(raw: bytes) -> None:
    def once(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                name = name[:64].encode("utf-8", "replace").decode("utf-8")  # it may hold half a surrogate pair
                raise _No("double_key", name, f"{name!r} comes twice in one object", "send every key once")
            seen.add(name)

    try:
        json.loads(raw, object_pairs_hook=once)
    except ValueError as error:
        # such as \xff in a field that nobody reads, or a number of 5,000 digits
        raise _No("not_json", "$", f"not JSON: {str(error)[:120]}", "send valid JSON, encoded as UTF-8") from None


def _event_id(text: str) -> str:
    event_id = text.lower()
    if _UUID.fullmatch(event_id) is None or event_id == _NIL:
        remedy = "send a UUID (version 7 preferred), such as 0190f7a2-7c3b-7d1e-9a5f-1a2b3c4d5e6f, or leave it out"
        told = "the nil UUID is the id of no event" if event_id == _NIL else "the event id is no UUID"
        raise _No("bad_value", "event_id", told, remedy)
    return event_id


def _time(name: str, value: int | str, now_ms: int) -> int:
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
            ms = (moment - _EPOCH) // _MS
        except (ValueError, TypeError, OverflowError):  # TypeError: it has no zone
            remedy = "send RFC 3339 with a zone, such as 2026-11-21T08:30:00.250Z, or milliseconds since 1970"
            raise _No("bad_time", name, f"{value!r} is no time", remedy) from None
    else:
        ms = value
    if EARLIEST_MS <= ms <= now_ms + FUTURE_MS:
        return ms
    if ms > now_ms + FUTURE_MS:
        told, remedy = "more than a day ahead of received_at, the collector's clock", "mend the device's clock"
    else:
        told, remedy = "before the year 2000", "send UTC milliseconds (not seconds) since 1970"
    raise _No("time_out_of_range", name, f"{name} is {told}", remedy)


def _granted(consent: dict[str, bool] | None) -> str | None:
    return None if consent is None else ",".join(sorted(purpose for purpose, yes in consent.items() if yes))


def _mismatch(message: str) -> _No:
    """A ValidationError of msgspec in the words of the protocol."""
    missing = _MISSING.search(message)
    if missing:
        name = missing[1]
        return _No("missing_field", name, f"every event needs {name}", f"send {name}")
    found = _AT.search(message)
    if found is None:
        return _No("wrong_type", "$", message, "send every event as a JSON object")
    path = found[2].replace("[...]", ".*")
    detail = message[: found.start()].partition(" matching regex ")[0]
    if detail != message[: found.start()]:
        detail = "it has characters that may not be in it"
    reason = "wrong_type" if ", got `" in detail else "bad_value"
    return _No(reason, path, detail, _REMEDIES.get(path.partition(".")[0].partition("[")[0], "see the field's type"))


def _remedies() -> dict[str, str]:
    an_id = "send a string of 1 to 128 characters, without control characters and '|'"
    a_time = "send UTC milliseconds since 1970 as a whole number, or RFC 3339 with a zone"
    a_word = "send a string of at most 64 characters, without control characters"
    a_text = "send a string of at most 256 characters, without NUL"
    millis = "send whole milliseconds from 0 to 86,400,000"
    small = "send a whole number from 0 to 1,000,000"
    groups = {
        an_id: "user_id device_id session_id video_id target_user_id impression_id request_id creator_id",
        a_time: "event_time sent_at published_at",
        a_word: "event_type language region music_id moderation jurisdiction",
        a_text: "query title",
        millis: "watch_ms duration_ms startup_ms rebuffer_ms",
        small: "position loops text_length",
        "send a UUID, or leave it out": "event_id",
        "send a whole number from 0": "seq",
        "send a whole number from 1900 to 2100": "birth_year",
        "send a string of 1 to 64 characters, without control characters and '|'": "category",
        "send a list of at most 32 strings of at most 64 characters": "hashtags",
        "send an object whose members are strings of at most 64 characters": "context",
        "send an object of purposes, each true or false": "consent",
        "send an object of strings: names of at most 64 characters, values of at most 256": "properties",
    }
    return {name: remedy for remedy, names in groups.items() for name in names.split()}


_REMEDIES = _remedies()
_TYPES_REMEDY = f"one of {', '.join(sorted(TYPES))}"
