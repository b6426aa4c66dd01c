"""The days that the night left out of its comparison, and why: kept in its own file (lake/runs), by parity's step."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from pathlib import Path

from foryou.lake import night

NOTHING_LIVE, NOT_HELD = "nothing_live", "not_held"
WHY = {
    NOTHING_LIVE: "nothing of it had come by the live door when the night looked, so the speed layer had no tile of it",
    NOT_HELD: "Kafka no longer holds all that the speed layer said of its events (a week, unless a partition is full)",
}


def left_out(asked: Sequence[date], live: Collection[date], compared: Collection[date]) -> dict[str, str]:
    """Day → why (a key of WHY), as the step's result has it. `live`: days of the live door; `compared`: also those that
    were only imported, for they have a summary of their own."""
    rest = [day for day in asked if day not in compared]
    return {day.isoformat(): NOT_HELD if day in live else NOTHING_LIVE for day in rest}


def left_out_so_far(runs: Path) -> Mapping[date, str]:
    """Day → why (a sentence's end), of all nights; of several about a day the newest."""
    why: dict[date, str] = {}
    for one in sorted(night.every(runs), key=lambda each: each.complete_through):
        found = one.done["parity"].wrote.get("left_out", {}) if "parity" in one.done else {}
        why |= {date.fromisoformat(day): WHY[reason] for day, reason in found.items()}
    return why
