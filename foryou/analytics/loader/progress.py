"""How far a topic has been loaded, and the range that is under way: one small file, replaced whole.

    fetch ─▶ plan (file) ─▶ read, de-duplicate ─▶ staged (file) ─▶ add ─▶ done (file)

Killed before `staged`, nothing was added: the range is read again, from its first to its last offset. Killed after it,
the very rows to be added are in the database already, and each insert carries the plan's token: what an insert has
added is not added again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from foryou.analytics.loader.source import Held


@dataclass(frozen=True, slots=True)
class Plan:
    """A range under way. `ranges`: partition → (first offset, offset after the last)."""

    topic_id: str
    ranges: Mapping[int, tuple[int, int]]
    staged: bool = False

    @property
    def token(self) -> str:
        """Names this range of this topic, in every attempt."""
        spans = ",".join(f"{part}:{first}-{end}" for part, (first, end) in sorted(self.ranges.items()))
        return f"{self.topic_id}|{spans}"


@dataclass(frozen=True, slots=True)
class Progress:
    """`topic_id` tells a topic from a later one of the same name; `next`: partition → offset to read next."""

    topic_id: str = ""
    next: Mapping[int, int] = field(default_factory=dict)
    plan: Plan | None = None

    def done(self) -> Progress:
        """Past the plan."""
        assert self.plan is not None, "nothing was planned"
        ends = {part: end for part, (_, end) in self.plan.ranges.items()}
        return replace(self, next={**self.next, **ends}, plan=None)


def start(stored: Progress, topic_id: str, held: Mapping[int, Held]) -> tuple[Progress, list[str]]:
    """Where to go on, given what the topic holds, and what was odd about it. Reading again is safe: copies are
    dropped. A plan survives only if its range can still be read, or was staged."""
    remarks: list[str] = []
    positions = dict(stored.next)
    if stored.topic_id not in ("", topic_id):
        remarks.append("another topic than before under the same name; reading all of it")
        positions = {}
    for part, span in held.items():
        offset = positions.get(part, span.first)
        if offset > span.end:
            remarks.append(f"[{part}]: loaded to {offset}, the topic ends at {span.end}; reading all of it")
            offset = span.first
        elif offset < span.first:
            remarks.append(f"[{part}]: {span.first - offset} records expired before they were loaded")
            offset = span.first
        positions[part] = offset
    return Progress(topic_id, {part: positions[part] for part in held}, _kept(stored.plan, topic_id, held)), remarks


def _kept(plan: Plan | None, topic_id: str, held: Mapping[int, Held]) -> Plan | None:
    if plan is None or plan.staged:
        return plan
    there = plan.topic_id == topic_id and all(
        part in held and held[part].first <= first and end <= held[part].end
        for part, (first, end) in plan.ranges.items()
    )
    return plan if there else None


class ProgressFile:
    """The file of one topic."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)

    def load(self) -> Progress:
        """What was saved last; from the beginning if nothing was."""
        try:
            found = json.loads(self._path.read_text("utf-8"))
        except FileNotFoundError:
            return Progress()
        plan = found["plan"] and Plan(
            found["plan"]["topic_id"],
            {int(part): (first, end) for part, (first, end) in found["plan"]["ranges"].items()},
            found["plan"]["staged"],
        )
        return Progress(found["topic_id"], {int(part): offset for part, offset in found["next"].items()}, plan)

    def save(self, progress: Progress) -> None:
        """Durable when this returns: whole, or as it was."""
        draft = self._path.with_suffix(".draft")
        with draft.open("w", encoding="utf-8") as file:
            json.dump(asdict(progress), file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
