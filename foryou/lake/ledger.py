"""The books, pure: at every hop each offset that came in is found again, exactly once, or it is still on its way.

An equation is about one topic and partition. What is keyed by offset needs no clock to agree: the minute of an offset
is when Kafka took it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Offsets = npt.NDArray[np.int64]
MINUTE = 60_000
NO_END = 2**63 - 1
IN_FLIGHT = "in flight"


@dataclass(frozen=True)
class Place:
    """A partition of a topic."""

    topic: str
    partition: int


@dataclass(frozen=True)
class Hole:
    """Offsets first to last (both in) of which something is wrong: `missing` or `told twice`. since_ms: the minute of
    the first, None if nobody knows."""

    kind: str
    first: int
    last: int
    since_ms: int | None


@dataclass(frozen=True)
class Line:
    """left = the sum of `right` (term → count), on one partition. minutes: term → count per minute (UTC ms; None: not
    known), '' for the left side."""

    hop: str
    place: Place
    left: int
    right: Mapping[str, int]
    holes: tuple[Hole, ...]
    minutes: Mapping[int | None, Mapping[str, int]] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """No hole, and both sides are equal."""
        return not self.holes and self.left == sum(self.right.values())


@dataclass(frozen=True)
class Clock:
    """When Kafka took an offset of one partition: offsets in order, times in ms beside them."""

    offsets: Offsets
    times: Offsets

    def minutes(self, offsets: Offsets) -> list[int | None]:
        """The minute of each offset; None where it is not known."""
        if not len(self.offsets):
            return [None] * len(offsets)
        at = np.minimum(np.searchsorted(self.offsets, offsets), len(self.offsets) - 1)
        known = self.offsets[at] == offsets
        starts = self.times[at] // MINUTE * MINUTE
        return [int(start) if is_known else None for start, is_known in zip(starts, known, strict=True)]


NO_CLOCK = Clock(np.empty(0, np.int64), np.empty(0, np.int64))


def offsets_of(values: Iterable[int]) -> Offsets:
    """In order, each once."""
    return np.unique(np.fromiter(values, np.int64))


def balance(
    hop: str, place: Place, expected: Offsets, terms: Mapping[str, Offsets], reached: int, clock: Clock = NO_CLOCK
) -> Line:
    """The equation of a hop: each of `expected` (in order, each once) is in exactly one of the terms. What is in none
    is in flight from the offset `reached` on, and a hole before it. What is not expected does not count."""
    found = {name: np.intersect1d(offsets, expected) for name, offsets in terms.items()}
    told, times = np.unique(np.concatenate([*found.values(), np.empty(0, np.int64)]), return_counts=True)
    absent = np.setdiff1d(expected, told, assume_unique=True)
    missing, on_the_way = absent[absent < reached], absent[absent >= reached]
    holes = [*_holes("missing", missing, expected, clock), *_holes("told twice", told[times > 1], expected, clock)]
    parts = {"": expected, **found, IN_FLIGHT: on_the_way}
    right = {name: len(offsets) for name, offsets in parts.items() if name}
    return Line(hop, place, len(expected), right, tuple(holes), _by_minute(parts, clock))


def _holes(kind: str, wrong: Offsets, expected: Offsets, clock: Clock) -> Iterable[Hole]:
    """Runs of neighbours in `expected`."""
    if not len(wrong):
        return
    at = np.searchsorted(expected, wrong)
    for run in np.split(wrong, np.flatnonzero(np.diff(at) != 1) + 1):
        yield Hole(kind, int(run[0]), int(run[-1]), clock.minutes(run[:1])[0])


def _by_minute(parts: Mapping[str, Offsets], clock: Clock) -> dict[int | None, dict[str, int]]:
    counted: dict[int | None, dict[str, int]] = {}
    for name, offsets in parts.items():
        for minute in clock.minutes(offsets):
            row = counted.setdefault(minute, dict.fromkeys(parts, 0))
            row[name] += 1
    return counted


@dataclass(frozen=True)
class Total:
    """Lines of a hop put together, for people."""

    hop: str
    name: str
    left: int
    right: Mapping[str, int]
    holds: bool


def totals(lines: Iterable[Line]) -> list[Total]:
    """By hop and topic, in the order of the lines."""
    grouped: dict[tuple[str, str], list[Line]] = {}
    for line in lines:
        grouped.setdefault((line.hop, line.place.topic), []).append(line)
    made = []
    for (hop, topic), of in grouped.items():
        terms = list(dict.fromkeys(term for line in of for term in line.right))
        right = {term: sum(line.right.get(term, 0) for line in of) for term in terms}
        made.append(Total(hop, topic, sum(line.left for line in of), right, all(line.holds for line in of)))
    return made


def as_rows(lines: Iterable[Line]) -> list[dict[str, Any]]:
    """For JSON: one row per hop, topic, partition and minute, and the holes."""
    rows = []
    for line in lines:
        at = {"hop": line.hop, "topic": line.place.topic, "partition": line.place.partition}
        holes = [{"kind": h.kind, "first": h.first, "last": h.last, "since_ms": h.since_ms} for h in line.holes]
        minutes = [
            {"minute": minute, "left": counts[""], "right": {name: n for name, n in counts.items() if name}}
            for minute, counts in sorted(line.minutes.items(), key=lambda item: (item[0] is None, item[0] or 0))
        ]
        rows.append(at | {"left": line.left, "right": dict(line.right), "holes": holes, "minutes": minutes})
    return rows
