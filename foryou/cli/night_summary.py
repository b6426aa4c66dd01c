"""What a night wrote, step by step, in words for people; fits 80 columns."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from rich.table import Table

from foryou.lake import days
from foryou.lake.night import STEPS, Night
from foryou.lake.parity_causes import CAUSES

# What the days of a step are: each counts others, and none of them need be as many as were asked for.
DAYS = {
    "silver": "days made",
    "tiles": "days made",
    "trends": "days of trends",
    "publish": "days published",
    "parity": "days compared",
    "training": "days labelled (with the one before)",
    "analytics": "days replaced",
}
ELSEWHERE = ("rows", "topics", "views")  # in a column of its own, or too long for a line


def summary(done: Night) -> Table:
    """What the night wrote."""
    asked = _many(len(days.span(done.first, done.last)))
    table = Table(title=f"Night {done.name}: {asked}", title_justify="left", caption_justify="left")
    table.add_column("step", no_wrap=True)
    table.add_column("s", justify="right", no_wrap=True)
    table.add_column("rows", justify="right", no_wrap=True)
    table.add_column("")
    for step in STEPS:
        made = done.done.get(step.name)
        if made is None:
            continue
        rows = made.wrote.get("rows")
        told = ", ".join(_told(step.name, made.wrote))
        table.add_row(step.name, f"{made.seconds:.0f}", f"{rows:,}" if isinstance(rows, int) else "", told)
    table.caption = _more_days(done, asked)
    return table


def utc(ms: int) -> str:
    """A moment, UTC, to the second: 2026-11-28 03:12:05."""
    return datetime.fromtimestamp(ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _told(step: str, wrote: Mapping[str, Any]) -> Iterator[str]:
    """Each thing that a step counted; a cause that no tile has is left out."""
    for name, value in wrote.items():
        if name in ELSEWHERE or isinstance(value, dict | list) or (name in CAUSES and not value):
            continue
        if name == "cutoff":
            yield f"cut-off {utc(value)} UTC"
            continue
        words = DAYS.get(step, name) if name == "days" else name.replace("_", " ")
        yield f"{words} {value:,}" if isinstance(value, int) else f"{words} {value}"


def _more_days(done: Night, asked: str) -> str | None:
    """Why a night makes more days than were asked for."""
    tiles = done.done.get("tiles")
    made = tiles.wrote.get("days") if tiles else None
    if not isinstance(made, int) or made <= len(days.span(done.first, done.last)):
        return None
    return f"{asked} asked for, {made} made: earlier days that late events or imports changed are made again, too."


def _many(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"
