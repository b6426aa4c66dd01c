"""Days that must be made again, and days that must be published again: an empty file per day, so that a kill at any
moment
leaves a mark too many, never one too few."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

DAY_MS = 86_400_000


def mark(folder: Path, days: Iterable[date]) -> None:
    """Marks days."""
    folder.mkdir(parents=True, exist_ok=True)
    for day in days:
        (folder / day.isoformat()).touch()


def marked(folder: Path) -> list[date]:
    """The days that are marked, in order."""
    return sorted(date.fromisoformat(path.name) for path in folder.glob("[0-9]*-*-*"))


def unmark(folder: Path, days: Iterable[date]) -> None:
    """Takes marks away."""
    for day in days:
        (folder / day.isoformat()).unlink(missing_ok=True)


def day_of(ms: int) -> date:
    """The UTC day of a time."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)).date()


def start_of(day: date) -> int:
    """The first instant of a UTC day, ms."""
    return (day - date(1970, 1, 1)).days * DAY_MS


def span(first: date, last: date) -> list[date]:
    """The days from first to last, both in."""
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]
