"""Files under `secrets/`, mode 0600. Readers follow them while they run; a change is whole or not at all."""

import fcntl
import json
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from foryou.service.keys import EVERY_SCOPE, KeyRing, decode, encode, key_of, new_text

log = logging.getLogger(__name__)

LOOK_S = 0.5  # a changed file counts after this much, and a revoked key opens nothing any more
DEVELOPMENT_APP = "demo"
T = TypeVar("T")


class Followed(Generic[T]):
    """What a file holds, as it is now: looked at twice a second by whoever asks, read anew when it has changed."""

    def __init__(
        self, path: Path, decode: Callable[[bytes], T], empty: T, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self.path = path
        self._decode, self._clock_s = decode, clock_s
        self._looked_s = float("-inf")
        self._seen: tuple[int, int, int] | None = None
        self._failed = False  # said once, not at every look
        self._value = empty

    def __call__(self) -> T:
        """The value now. A file that cannot be read leaves what was: a slip of the pen locks nobody out."""
        now_s = self._clock_s()
        if now_s - self._looked_s >= LOOK_S:
            self._looked_s = now_s
            self._look()
        return self._value

    def look_again(self) -> None:
        """Makes the next call look at the file."""
        self._looked_s = float("-inf")

    def _look(self) -> None:
        try:
            stat = self.path.stat()
            seen = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
            if seen == self._seen:
                return
            value = self._decode(self.path.read_bytes())
        except (OSError, ValueError) as error:
            if not self._failed:
                told = {"file": self.path.name, "error": type(error).__name__}  # not its text: that may quote the file
                log.error("a file of secrets cannot be read; what was known stays", extra=told)
            self._seen, self._failed = None, True
            return
        if self._seen is not None or self._failed:
            log.info("took over a changed file", extra={"file": self.path.name})
        self._seen, self._failed, self._value = seen, False, value


class KeyFile:
    """The write keys in a file, as they are now, and the way to change them."""

    def __init__(self, path: Path, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._followed = Followed(path, decode, KeyRing(), clock_s)

    @property
    def ring(self) -> KeyRing:
        """The keys now."""
        return self._followed()

    def change(self, how: Callable[[KeyRing], KeyRing]) -> KeyRing:
        """Writes what `how` makes of the keys. Raises OSError, ValueError when the file cannot be understood, and what
        `how` raises; then the file stays as it was."""
        after = change_secret(self._path, how, decode, encode, KeyRing())
        self._followed.look_again()
        return after


def change_secret(
    path: Path, how: Callable[[T], T], decode: Callable[[bytes], T], encode: Callable[[T], bytes], empty: T
) -> T:
    """Writes what `how` makes of the value in a file, and returns it; of two at once, one comes after the other.

    Raises OSError, and what `how` and `decode` raise; then the file stays as it was.
    """
    lock = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        there = path.exists()
        before = decode(path.read_bytes()) if there else empty
        after = how(before)
        if after != before or not there:
            write_secret(path, encode(after))
        return after
    finally:
        os.close(lock)


def write_secret(path: Path, text: bytes) -> None:
    """Writes a file that only its owner reads, whole or not at all, and there after a crash. Raises OSError."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(file, "wb") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def open_keys(folder: Path, now_ms: int) -> KeyFile:
    """The key file in `folder`, with a development key in it if it is new.

    `development.key` holds that one key readable, 0600: it is there to be shown by `foryou up`. A `write_keys.json` of
    0.1 and before is taken over: its keys open what they opened, and its first becomes the development key. Raises
    OSError, and ValueError when a file cannot be understood.
    """
    keys, development, old = KeyFile(folder / "keys.json"), folder / "development.key", folder / "write_keys.json"
    readable: dict[str, str] = {}
    if old.exists():
        readable = {text: row["app_id"] for text, row in json.loads(old.read_text("utf-8")).items()}
    elif (folder / "keys.json").exists():
        return keys

    def taken_over(ring: KeyRing) -> KeyRing:
        if not readable and not ring.keys:
            readable[new_text(development=True)] = DEVELOPMENT_APP
        if not development.exists() and readable:
            write_secret(development, next(iter(readable)).encode())
        for text, app_id in readable.items():
            label = "development" if app_id == DEVELOPMENT_APP and text.startswith("fy_dev_") else ""
            ring = ring.with_key(key_of(text, app_id, EVERY_SCOPE, now_ms, label=label))
        return ring

    keys.change(taken_over)
    if old.exists():
        _set_aside(old, readable, development)
    return keys


def _set_aside(old: Path, readable: dict[str, str], development: Path) -> None:
    """The old file holds keys in the clear. Gone, if development.key has all that it had; else kept for its owner."""
    if list(readable) == [development.read_text("utf-8").strip()]:
        old.unlink(missing_ok=True)
        return
    aside = old.with_name("write_keys.json.old")
    old.replace(aside)
    log.warning("keys in the clear are left over: delete the file when nobody needs it", extra={"file": aside.name})
