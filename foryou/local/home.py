"""The stack's folder: where each thing lies, the stamp of its layout, the room it needs."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from foryou.service.settings import REPO

LAYOUT = 1
NEEDED_BYTES = 2 * 1024**3


class HomeUnusable(Exception):
    """The folder cannot be used; the message is the one sentence to show."""


@dataclass(frozen=True)
class Home:
    """Paths under FORYOU_HOME."""

    root: Path

    @property
    def logs(self) -> Path:
        """Log files of every process, bounded in size."""
        return self.root / "logs"

    @property
    def run(self) -> Path:
        """What only matters while the stack is up: state, locks."""
        return self.root / "run"

    @property
    def state(self) -> Path:
        """What `foryou status` reads."""
        return self.run / "state.json"

    @property
    def lock(self) -> Path:
        """Held by the living supervisor; the kernel lets go of it when that dies, however it dies."""
        return self.run / "supervisor.lock"

    @property
    def kafka(self) -> Path:
        """Kafka's log folders and settings."""
        return self.root / "kafka"

    @property
    def flink(self) -> Path:
        """Flink's settings, checkpoints, epochs."""
        return self.root / "flink"

    @property
    def registry(self) -> Path:
        """The registry's scratch; its data is in Kafka."""
        return self.root / "registry"

    @property
    def tmp(self) -> Path:
        """Temporary files, a folder for each part; nothing in it outlives the part's next start."""
        return self.root / "tmp"

    def open(self) -> None:
        """Makes the folder, or checks that it is one of ours and that there is room. Raises HomeUnusable."""
        stamp = self.root / "VERSION"
        for path, remedy in ((self.root, "set FORYOU_HOME to another"), (REPO, "move the checkout")):
            if any(each.isspace() for each in str(path)):
                raise HomeUnusable(f"{path} has a blank in it, and Flink's scripts cut it there: {remedy}.")
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            if stamp.exists():
                _check_stamp(stamp)
            for folder in (self.logs, self.run, self.kafka, self.flink, self.registry, self.tmp):
                folder.mkdir(exist_ok=True)
        except OSError as error:
            raise HomeUnusable(f"{self.root} cannot be used ({error.strerror}): set FORYOU_HOME to another.") from error
        free = shutil.disk_usage(self.root).free
        if free < NEEDED_BYTES:
            raise HomeUnusable(
                f"{self.root} has {free / 1e9:.1f} GB free and the stack needs {NEEDED_BYTES / 1e9:.1f} GB: "
                "make room, or set FORYOU_HOME to another disk."
            )
        if not stamp.exists():
            write_whole(stamp, f"{LAYOUT}\n")

    def let_java_load(self) -> None:
        """Checks that libraries can be loaded from the folder, which is there. Raises HomeUnusable."""
        if os.statvfs(self.root).f_flag & os.ST_NOEXEC:
            raise HomeUnusable(
                f"{self.root} is on a disk that is mounted noexec, and Java loads libraries from its temporary files: "
                "set FORYOU_HOME to another disk."
            )


def _check_stamp(stamp: Path) -> None:
    text = stamp.read_text("utf-8").strip()
    if not text.isdigit():
        raise HomeUnusable(f"{stamp} holds {text[:20]!r}, not a layout number: set FORYOU_HOME to another folder.")
    # Layout 1 is the first. When there is a second, its step from the first is called here, then the stamp is written.
    if int(text) != LAYOUT:
        raise HomeUnusable(
            f"{stamp.parent} has layout {text} and this version reads {LAYOUT}: "
            "use the version that wrote it, or set FORYOU_HOME to a new folder."
        )


def write_whole(path: Path, text: str) -> None:
    """Replaces a file at once: a reader, or a kill in between, sees the old or the new text, never half of one."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text, "utf-8")
    draft.replace(path)


def epoch(folder: Path) -> int:
    """The job's epoch as last written by `next_epoch`; 0 when the job has never started from nothing."""
    try:
        return int(json.loads((folder / "epoch.json").read_text("utf-8"))["epoch"])
    except FileNotFoundError:
        return 0


def next_epoch(folder: Path) -> int:
    """Counts up. A tile's version is (epoch, n): a job that starts from nothing counts n from zero again."""
    folder.mkdir(parents=True, exist_ok=True)
    following = epoch(folder) + 1
    write_whole(folder / "epoch.json", json.dumps({"epoch": following}) + "\n")
    return following
