"""The log's folder: segments by number, bytes set aside, and the locks that keep a second process out."""

import contextlib
import fcntl
import os
import secrets
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path

from foryou.collector.log.frames import MARKER_BYTES

_SUFFIX = ".log"
ASIDE = "aside"  # bytes that no frame is in, and records that Kafka will never take: for people to look at


class LogInUse(Exception):
    """Another process has this log; the message is the one sentence to show."""


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """One file of the log. Numbers grow; only the last segment is written to."""

    number: int
    path: Path

    @property
    def marker(self) -> bytes:
        """What every frame in it begins with."""
        return bytes.fromhex(self.path.stem.partition("-")[2])


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in the log: everything before it has been read."""

    segment: int = 0
    offset: int = 0


def segments(folder: Path) -> list[Segment]:
    """The log's segments in order; other files are passed over."""
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        name = path.name
        number, dash, marker = name.removesuffix(_SUFFIX).partition("-")
        if name.endswith(_SUFFIX) and dash and number.isdecimal() and len(marker) == 2 * MARKER_BYTES:
            found.append(Segment(int(number), path))
    return sorted(found)


def new_segment(folder: Path, after: int) -> Segment:
    """The name of the segment after number `after`; the file is not made."""
    return Segment(after + 1, folder / f"{after + 1:012d}-{secrets.token_hex(MARKER_BYTES)}{_SUFFIX}")


def size_of(path: Path) -> int:
    """Bytes in a file; 0 when it is gone."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def bytes_in(folder: Path) -> int:
    """What the quota counts: segments, and what was set aside."""
    aside = (folder / ASIDE).iterdir() if (folder / ASIDE).is_dir() else ()
    return sum(size_of(path) for path in (*(each.path for each in segments(folder)), *aside))


def set_aside(folder: Path, name: str, data: bytes) -> Path:
    """Keeps bytes that cannot go on; a second time under the same name changes nothing."""
    place = folder / ASIDE
    place.mkdir(mode=0o700, exist_ok=True)
    kept = place / name
    draft = kept.with_name(f".{name}.{os.getpid()}")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(kept)
    return kept


def sync_folder(folder: Path) -> None:
    """Makes the folder's names durable."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def lock(folder: Path, who: str) -> TextIOWrapper:
    """Holds the log for one `who` until the file is closed or the process ends. Raises LogInUse."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = (folder / f"{who}.lock").open("a+", encoding="ascii")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read(20).strip() or "unknown"
        file.close()
        raise LogInUse(
            f"Another {who} (process {holder}) has the log in {folder}: end it, or set FORYOU_HOME to another folder."
        ) from None
    with contextlib.suppress(OSError):  # a full disk: the number is for people, the lock holds without it
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
    return file
