"""Dead letters as people handle them: which ones, what is in them, and once more through the door they came by."""

import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol
from urllib.parse import quote

import msgspec

from foryou.contract.seal import Seal
from foryou.contract.topics import REJECTED

REPLAY_HEADER = "x-foryou-replay"  # the collector's, see foryou/collector/letters.py


class _Way(msgspec.Struct, frozen=True):
    """As the collector seals it (foryou/collector/protocols/shape.py), which the command line does not import."""

    method: str
    path: str
    content_type: str
    content_encoding: str = ""
    whole: bool = False


@dataclass(frozen=True)
class Letter:
    """A dead letter and where it lies."""

    partition: int
    offset: int
    record: Mapping[str, Any] = field(repr=False)

    @property
    def place(self) -> str:
        """What people call it: partition/offset."""
        return f"{self.partition}/{self.offset}"

    @property
    def name(self) -> str:
        """What tells it from all others, in every copy. A seal is never made twice, so its bytes do; the place does
        not: the forwarder may send a letter twice, and a Kafka that was made anew counts from 0 again.
        """
        if self.record.get("sealed_by") is None:
            return f"{REJECTED}/{self.place}"
        return hashlib.sha256(self.record["body"]).hexdigest()[:32]

    @property
    def marks(self) -> tuple[str, str]:
        """How it is remembered now, and how it was when its place was its name."""
        at = self.record["rejected_at"]
        return f"{self.name} {at}", f"{REJECTED}/{self.place} {at}"

    @property
    def cut(self) -> bool:
        """Whether only the beginning of it was kept, so that it cannot be sent again."""
        kept: int | None = self.record.get("kept_bytes")
        return kept is not None and kept < self.record["body_bytes"]

    def body(self, seal: Seal) -> bytes:
        """The refused bytes, opened. Raises CannotOpen."""
        body: bytes = self.record["body"]
        return body if self.record.get("sealed_by") is None else seal.open(body)

    def way(self, seal: Seal) -> _Way:
        """How it came. Raises CannotOpen."""
        if self.record.get("way") is None:  # before letters were sealed: the door alone is known
            return _Way("POST", self.record["door"], "application/json")
        return msgspec.json.decode(seal.open(self.record["way"]), type=_Way)


@dataclass(frozen=True)
class Wanted:
    """Which letters: those that fit all that is said. Times in UTC ms."""

    app_id: str | None = None
    reason: str | None = None
    field: str | None = None
    door: str | None = None
    since_ms: int = 0
    places: frozenset[str] = frozenset()

    def fits(self, letter: Letter) -> bool:
        """Whether this letter is wanted."""
        said = letter.record
        return (
            (not self.places or letter.place in self.places)
            and said["rejected_at"] >= self.since_ms
            and all(
                wish is None or said[name] == wish
                for name, wish in (
                    ("app_id", self.app_id),
                    ("reason", self.reason),
                    ("field", self.field),
                    ("door", self.door),
                )
            )
        )


class Replayed:
    """Which letters have been replayed: a line each in a file, appended and synced; two who replay take turns.

    After a crash between the door's answer and the line the letter goes out once more, with the same event ids: it is
    a duplicate then, and counts once all the same.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1
        self._marks: set[str] = set()

    def __enter__(self) -> "Replayed":
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        text = self._path.read_text("utf-8")
        if text and not text.endswith("\n"):  # a line that a crash tore
            os.write(self._file, b"\n")
        self._marks = set(text.splitlines())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)

    def __contains__(self, letter: Letter) -> bool:
        return any(mark in self._marks for mark in letter.marks)

    def add(self, letter: Letter) -> None:
        """Remembers it, for good."""
        mark, _ = letter.marks
        os.write(self._file, f"{mark}\n".encode())
        os.fsync(self._file)
        self._marks.add(mark)


@dataclass(frozen=True)
class Told:
    """What the door said to a letter: the status, and of a refusal why, in a line."""

    status: int
    said: str = ""


class Post(Protocol):
    """Sends a request to the collector as an app of the letter's."""

    def __call__(self, app_id: str, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Told: ...


@dataclass(frozen=True)
class Outcome:
    """What became of one letter: replayed, already, refused, cut, or not now."""

    letter: Letter
    what: str
    told: str = ""


def replay(letters: Iterable[Letter], done: Replayed, seal: Seal, post: Post) -> Iterator[Outcome]:
    """Sends each letter through the door that it came by, once, bit for bit. Stops at what concerns all of them."""
    for letter in letters:
        if letter in done:
            yield Outcome(letter, "already")
            continue
        way, body = letter.way(seal), letter.body(seal)
        if letter.cut or letter.record["app_id"] is None or "…" in way.path:
            yield Outcome(letter, "cut", "only a part of it was kept")
            continue
        kind = "body" if way.whole else "event"
        named = f"{letter.name} {kind} {letter.record['rejected_at']}"
        headers = {REPLAY_HEADER: named, "content-type": way.content_type}
        if way.whole and way.content_encoding:  # one event of a body was unpacked before it was told apart
            headers["content-encoding"] = way.content_encoding
        told = post(letter.record["app_id"], way.method, quote(way.path, safe="/"), headers, body)
        if told.status in (200, 202, 207):
            done.add(letter)
            yield Outcome(letter, "replayed", "in part: what was refused is a new letter" * (told.status == 207))
        elif told.status in (400, 413, 415, 422):
            yield Outcome(letter, "refused", told.said)
        else:
            yield Outcome(letter, "not now", f"{told.status} {told.said}")
            return
