"""How far Kafka has acknowledged, in one small file that is replaced at once.

It is not synced: losing it costs duplicates, which downstream knows by their event id, never an event.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from foryou.contract.residence import HOME

NAME = "forwarded.json"
RESEND = "resend"  # a file of this name asks the forwarder to send all that is kept once more
ACCOUNTS = ".accounts"


def name_of(residence: str) -> str:
    """The file of another one than the forwarder at home."""
    return f"forwarded.{residence}.json"


def accounts_of(residence: str) -> str:
    """The name of who carries a residence's accounts; no residence has a dot in its name."""
    return residence + ACCOUNTS


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything before `offset` of `segment` (a file's name) is in the topics with these ids. `boot`: of which start
    of the machine that was true; `at_ms`: when the forwarder last said so.
    """

    segment: str = ""
    offset: int = 0
    topics: dict[str, str] = field(default_factory=dict)
    boot: str = ""
    waiting_for: list[str] = field(default_factory=list)
    at_ms: int = 0
    rules: str = ""  # a fingerprint of the residency that records went by


def load(folder: Path, name: str = NAME) -> Checkpoint:
    """The checkpoint; the log's beginning when there is none that can be read."""
    try:
        return msgspec.json.decode((folder / name).read_bytes(), type=Checkpoint)
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
        return Checkpoint()


def load_all(folder: Path) -> dict[str, Checkpoint]:
    """Every forwarder that has said something, by its name."""
    names = {
        path.name: path.name[len("forwarded.") : -len(".json")] for path in sorted(folder.glob("forwarded.*.json"))
    }
    return {HOME: load(folder)} | {name: load(folder, file) for file, name in names.items()}


def save(folder: Path, checkpoint: Checkpoint, name: str = NAME) -> None:
    """Replaces the checkpoint: a reader, or a kill in between, sees the old or the new one."""
    draft = folder / f".{name}.{os.getpid()}"
    draft.write_bytes(msgspec.json.encode(checkpoint))
    draft.replace(folder / name)
