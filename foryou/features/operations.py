"""What a tile can hold (operations) and what can be read from tiles (readings). A closed list: every compiler knows
them all.

An operation is a commutative monoid: `zero` is the value of no rows, `merge` joins two parts of a tile's rows in
either order. Adding a row is the engines' part (compilers/) and the oracle's; what is read is computed by `reading`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR

Action = tuple[Any, ...]  # one collected record: the values of Collect.names, in that order


@dataclass(frozen=True)
class Count:
    """Rows that satisfy `where`."""

    where: str

    zero: ClassVar[int] = 0

    @staticmethod
    def merge(a: int, b: int) -> int:
        return a + b


@dataclass(frozen=True)
class Total:
    """Sum of an integer column (null counts as 0) over the rows that satisfy `where`."""

    column: str
    where: str

    zero: ClassVar[int] = 0

    @staticmethod
    def merge(a: int, b: int) -> int:
        return a + b


@dataclass(frozen=True)
class Toggle:
    """Relations (likes, shares, …) that are on: +1 in the tile of the newest 'on', −1 there when it is withdrawn."""

    relation: str

    zero: ClassVar[int] = 0

    @staticmethod
    def merge(a: int, b: int) -> int:
        return a + b


@dataclass(frozen=True)
class Watched:
    """Watch time in ms: of every impression the largest that came, in the tile of the event that brought it; withdrawn
    there when a larger one comes. A view_end without impression counts by itself."""

    zero: ClassVar[int] = 0

    @staticmethod
    def merge(a: int, b: int) -> int:
        return a + b


@dataclass(frozen=True)
class Latest:
    """Time of the newest row that satisfies `where` (UTC ms), None if there is none."""

    where: str

    zero: ClassVar[None] = None

    @staticmethod
    def merge(a: int | None, b: int | None) -> int | None:
        return a if b is None else b if a is None else max(a, b)


@dataclass(frozen=True)
class Collect:
    """The rows that satisfy `where`, as small records in the order of time; the first field is `time`.

    Bounded twice. In a tile: only of the first `keep` events that arrived in a person's minute (more is not a
    person). In a packed row: the newest tiles that together hold at least `newest` records; the lists of older tiles
    are dropped, their counts stay. `flags` are conditions that are decided with the row and carried as 0 or 1, so
    that a reading needs no second evaluator.
    """

    fields: tuple[str, ...]
    where: str
    flags: tuple[tuple[str, str], ...] = ()
    keep: int = 64
    newest: int = 128

    zero: ClassVar[tuple[Action, ...]] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of a record's values, in order."""
        return self.fields + tuple(name for name, _ in self.flags)

    @staticmethod
    def merge(a: tuple[Action, ...], b: tuple[Action, ...]) -> tuple[Action, ...]:
        return a if not b else b if not a else in_time_order([*a, *b])


def in_time_order(actions: list[Action]) -> tuple[Action, ...]:
    """The one order of the same actions, whatever order they came in; sorts in place."""
    try:
        actions.sort()  # Python's own order of tuples, until it has to compare a null
    except TypeError:
        actions.sort(key=_total_order)
    return tuple(actions)


def _total_order(action: Action) -> tuple[tuple[bool, Any], ...]:
    return tuple((value is not None, value) for value in action)


Operation = Count | Total | Toggle | Watched | Latest | Collect


@dataclass(frozen=True)
class WindowSum:
    """Sum of a measure over the tiles (of size `tile`) that overlap [now − window, now]."""

    measure: str
    window: int
    tile: int


@dataclass(frozen=True)
class Ratio:
    """(numerator + mean · weight) / (denominator + weight) of two window sums: `weight` imagined rows at the usual
    rate `mean`.
    """

    numerator: str
    denominator: str
    window: int
    tile: int
    mean: float
    weight: float


@dataclass(frozen=True)
class Velocity:
    """Rate per minute in a short window over the rate in a long one, each with `smoothing` per minute added: 1.0 is
    steady.
    """

    measure: str
    short: int
    short_tile: int
    long: int
    long_tile: int
    smoothing: float


@dataclass(frozen=True)
class SessionSum:
    """Sum of a measure over the session that is open at `now`, 0 if none is. A longer silence than `gap` ends a
    session.
    """

    measure: str
    gap: int = 30 * MINUTE


@dataclass(frozen=True)
class SessionLength:
    """From the first to the newest event of the open session, ms; 0 if none is open."""

    gap: int = 30 * MINUTE


@dataclass(frozen=True)
class SecondsSince:
    """Seconds from a Latest measure to now, never negative; None if there was none within the view's keep."""

    measure: str


@dataclass(frozen=True)
class Recent:
    """Distinct values of a field of a Collect measure, newest first."""

    measure: str
    field: str
    limit: int


@dataclass(frozen=True)
class Streak:
    """How many records with flag `hit` there are since the newest one with flag `miss`; others do not matter."""

    measure: str
    hit: str
    miss: str


@dataclass(frozen=True)
class Affinity:
    """Facets from best to worst (`part` = "facets"), or their scores in the same order ("scores").

    score = Σ d(age) · points / (prior + Σ d(age) · exposure) over the facet's tiles that overlap [now − window, now],
    where points = Σ weight · measure, age = now − last event of the tile (the tile's end if it has none; at least 0)
    and d(age) = 2^(−age / half_life) + boost · 2^(−age / boost_half_life). A weighted mean, so that a person who
    watches a lot is comparable with one who does not; `boost` lets the last minutes outweigh the last days.
    """

    part: Literal["facets", "scores"]
    weights: tuple[tuple[str, float], ...]
    exposure: str
    prior: float
    window: int
    tile: int
    half_life: int
    boost: float
    boost_half_life: int
    limit: int


Reading = WindowSum | Ratio | Velocity | SessionSum | SessionLength | SecondsSince | Recent | Streak | Affinity
