"""One night: which steps it has, what it has done so far, and what it may skip when it goes on after a kill. Pure,
but for
one JSON file per night, replaced whole after every step."""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Step:
    """A step: `jobs/batch/<name>.py`, and what people read of it. `live` steps need the stack; `kafka`: it reads or
    writes topics, where there is a stack."""

    name: str
    doc: str
    live: bool = False
    kafka: bool = False


STEPS = (
    Step("bronze", "take what came: topics and imports", kafka=True),
    Step("silver", "decode, de-duplicate, blend"),
    Step("tiles", "the definitions' tiles, day by day"),
    Step("trends", "what is popular, what is rising"),
    Step("embeddings", "people, videos and creators as vectors"),
    Step("publish", "into the online store, up to the cut-off", live=True, kafka=True),
    Step("parity", "speed against batch, tile by tile", live=True, kafka=True),
    Step("training", "what was served, and what came of it"),
    Step("analytics", "ClickHouse: replace the days", live=True),
)


@dataclass(frozen=True)
class Done:
    """A step that is done: how long it took, and what its job said it wrote."""

    seconds: float
    wrote: Mapping[str, Any]


@dataclass(frozen=True)
class Night:
    """A night over the days first to last (UTC), both in. Everything received before `complete_through` (UTC ms) is in
    bronze when its first step is done."""

    first: date
    last: date
    complete_through: int
    done: Mapping[str, Done] = field(default_factory=dict)
    finished: bool = False

    @property
    def name(self) -> str:
        """Of its file."""
        return self.last.isoformat() if self.first == self.last else f"{self.first}_{self.last}"

    def with_step(self, name: str, done: Done) -> Night:
        """With one more step done."""
        return replace(self, done={**self.done, name: done})


def load(folder: Path, first: date, last: date) -> Night | None:
    """The night over these days, as far as it went; None if there was none, or if what is there cannot be read."""
    return _read(folder / f"{Night(first, last, 0).name}.json")


def every(folder: Path) -> list[Night]:
    """All nights that can be read, by name."""
    return [night for path in sorted(folder.glob("[0-9]*.json")) if (night := _read(path)) is not None]


def _read(path: Path) -> Night | None:
    try:
        found = json.loads(path.read_text("utf-8"))
        done = {name: Done(**row) for name, row in found["done"].items()}
        first, last = date.fromisoformat(found["first"]), date.fromisoformat(found["last"])
        return Night(first, last, found["complete_through"], done, found["finished"])
    except (FileNotFoundError, KeyError, TypeError, ValueError):
        return None


def save(folder: Path, night: Night) -> None:
    """Writes the night's file, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    row = {"first": night.first.isoformat(), "last": night.last.isoformat(), "complete_through": night.complete_through}
    row |= {"finished": night.finished, "done": {name: asdict(done) for name, done in night.done.items()}}
    draft = folder / f".{night.name}.json"
    draft.write_text(json.dumps(row, indent=1), "utf-8")
    draft.replace(folder / f"{night.name}.json")


def begin(
    folder: Path, first: date, last: date, complete_through: int, named: Collection[str] = (), *, more: bool = False
) -> Night:
    """The night to run: the one that was cut off, where there is one, else a new one.

    `named`: steps that were asked for by name run again, and so does what stands on them when that night goes on;
    they leave no night to go on with themselves. The cut-off that is claimed moves only when all below it is made anew.
    `more`: imports came that its bronze has not read: a night that was cut off begins anew.
    """
    before = load(folder, first, last)
    if not named:
        goes_on = before is not None and not before.finished and not (more and "bronze" in before.done)
        return before if before is not None and goes_on else Night(first, last, complete_through)
    if before is None:
        return Night(first, last, complete_through, finished=True)
    below = itertools.takewhile(lambda name: name not in named, (step.name for step in STEPS))
    kept = {name: before.done[name] for name in below if name in before.done}
    anew = {"bronze", "silver", "tiles"} <= set(named)
    return replace(before, done=kept, complete_through=complete_through if anew else before.complete_through)
