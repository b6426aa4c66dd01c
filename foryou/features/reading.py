"""From the tiles of one entity to the values of its features at `now`. Pure; compiled once per view into plain
closures.

The edge, everywhere the same: a tile counts when it overlaps [now − window, now], that is when tile_start ≤ now and
tile_start + tile_ms > now − window. A window is thus up to one tile longer than its name, and nothing after now is
touched. What has no window of its own has the tile's keep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from math import fsum
from operator import itemgetter
from typing import Any

from foryou.features.operations import (
    MINUTE,
    Action,
    Affinity,
    Collect,
    Ratio,
    Reading,
    Recent,
    SecondsSince,
    SessionLength,
    SessionSum,
    Streak,
    Velocity,
    WindowSum,
)
from foryou.features.spec import TileKey, TileState, Value, View

State = TileState[tuple[Any, ...]]


Tile = tuple[int, str | None, State]  # start, facet, state; a plain tuple, for a row has hundreds


class Tiles:
    """The tiles of one entity that may be read at `now`, newest first, per size.

    Up to `cutoff` (UTC ms) the batch layer's tiles count (salt below 0), after it the stream's: both lie in the row.
    """

    def __init__(self, view: View, row: Iterable[tuple[TileKey, State]], now: int, cutoff: int = 0) -> None:
        self.now = now
        self.by_size: dict[int, list[Tile]] = {r.ms: [] for r in view.tiles}
        oldest = {r.ms: now - r.keep - r.ms for r in view.tiles}
        for (facet, tile_ms, start, salt), state in row:
            if oldest.get(tile_ms, now) < start <= now and (salt < 0) == (start + tile_ms <= cutoff):
                self.by_size[tile_ms].append((start, facet, state))
        for tiles in self.by_size.values():
            tiles.sort(key=_start, reverse=True)
        self.ranked: dict[Affinity, list[tuple[float, str]]] = {}  # two features, computed once
        self._view = view
        self._whole: dict[int, list[Tile]] = {}

    def whole(self, size: int) -> list[Tile]:
        """The tiles of a size with their salts merged; sums do not need it, whatever looks at times does."""
        if self._view.salts == 1:
            return self.by_size[size]
        if size not in self._whole:
            self._whole[size] = _without_salts(self._view, self.by_size[size])
        return self._whole[size]


_start = itemgetter(0)


def _without_salts(view: View, tiles: list[Tile]) -> list[Tile]:
    merged: dict[tuple[int, str | None], Tile] = {}
    for tile in tiles:
        start, facet, state = tile
        known = merged.get((start, facet))
        merged[start, facet] = tile if known is None else (start, facet, merge_states(view, known[2], state))
    return list(merged.values())


def merge_states(view: View, a: State, b: State) -> State:
    """Two parts of one tile as one, under the larger epoch."""
    return TileState(
        max(a.epoch, b.epoch),
        a.n + b.n,
        _least(a.first_ms, b.first_ms),
        _greatest(a.last_ms, b.last_ms),
        tuple(m.op.merge(x, y) for m, x, y in zip(view.measures, a.measures, b.measures, strict=True)),
    )


def _least(a: int | None, b: int | None) -> int | None:
    return a if b is None else b if a is None else min(a, b)


def _greatest(a: int | None, b: int | None) -> int | None:
    return a if b is None else b if a is None else max(a, b)


Reader = Callable[[Tiles], Value]


@cache
def readers(view: View) -> tuple[tuple[str, Reader], ...]:
    """(feature, how to read it), in the order of the definition."""
    return tuple((feature.name, _reader(view, feature.read)) for feature in view.features)


def _reader(view: View, read: Reading) -> Reader:
    match read:
        case WindowSum(measure, window, tile):
            return _window_sum(view, measure, window, tile)
        case Ratio():
            return _ratio(view, read)
        case Velocity():
            return _velocity(view, read)
        case SessionSum(measure, gap):
            index = view.index(measure)
            return lambda tiles: sum(state.measures[index] for state in _session(tiles, gap))
        case SessionLength(gap):
            return lambda tiles: _length(_session(tiles, gap))
        case SecondsSince(measure):
            return _seconds_since(view, measure)
        case Recent():
            return _recent(view, read)
        case Streak():
            return _streak(view, read)
        case Affinity():
            return _affinity(view, read)


def _window_sum(view: View, measure: str, window: int, size: int) -> Callable[[Tiles], int]:
    index, reach = view.index(measure), window + size

    def read(tiles: Tiles) -> int:
        total, oldest = 0, tiles.now - reach
        for start, _, state in tiles.by_size[size]:
            if start <= oldest:
                break
            total += state.measures[index]
        return total

    return read


def _ratio(view: View, of: Ratio) -> Reader:
    above = _window_sum(view, of.numerator, of.window, of.tile)
    below = _window_sum(view, of.denominator, of.window, of.tile)
    return lambda tiles: (above(tiles) + of.mean * of.weight) / (below(tiles) + of.weight)


def _velocity(view: View, of: Velocity) -> Reader:
    short = _window_sum(view, of.measure, of.short, of.short_tile)
    long = _window_sum(view, of.measure, of.long, of.long_tile)
    short_minutes, long_minutes = of.short / MINUTE, of.long / MINUTE

    def read(tiles: Tiles) -> float:
        return (short(tiles) / short_minutes + of.smoothing) / (long(tiles) / long_minutes + of.smoothing)

    return read


def _session(tiles: Tiles, gap: int) -> list[State]:
    """Tiles of the session that is open at now, newest first. No gap fits into a tile: first and last decide,
    exactly.
    """
    reached = tiles.now
    session: list[State] = []
    for _, _, state in tiles.whole(MINUTE):
        if state.first_ms is None or state.last_ms is None:
            continue  # withdrawals only: nobody was there
        if reached - state.last_ms > gap:
            break
        session.append(state)
        reached = state.first_ms
    return session


def _length(session: list[State]) -> int:
    if not session:
        return 0
    newest, first = session[0].last_ms, session[-1].first_ms
    return newest - first if newest is not None and first is not None else 0


def _seconds_since(view: View, measure: str) -> Reader:
    index = view.index(measure)

    def read(tiles: Tiles) -> float | None:
        newest = [
            max(times)
            for listed in tiles.by_size.values()
            if (times := [t for _, _, state in listed if (t := state.measures[index]) is not None])
        ]
        return max(0, tiles.now - max(newest)) / 1000 if newest else None

    return read


def _newest_first(op: Collect, index: int, tiles: Tiles) -> list[Action]:
    """The records of the newest tiles that together hold at least op.newest."""
    found: list[Action] = []
    for _, _, state in tiles.whole(MINUTE):
        found.extend(reversed(state.measures[index]))
        if len(found) >= op.newest:
            break
    return found


def _collect(view: View, measure: str) -> tuple[Collect, int]:
    op = view.op(measure)
    assert isinstance(op, Collect)  # the definition was checked
    return op, view.index(measure)


def _recent(view: View, of: Recent) -> Reader:
    op, index = _collect(view, of.measure)
    place = op.names.index(of.field)

    def read(tiles: Tiles) -> list[str]:
        found: dict[str, None] = {}
        for action in _newest_first(op, index, tiles):
            value = action[place]
            if value is not None and value not in found:
                found[value] = None
                if len(found) == of.limit:
                    break
        return list(found)

    return read


def _streak(view: View, of: Streak) -> Reader:
    op, index = _collect(view, of.measure)
    hit, miss = op.names.index(of.hit), op.names.index(of.miss)

    def read(tiles: Tiles) -> int:
        streak = 0
        for action in _newest_first(op, index, tiles):
            if action[miss]:
                break
            streak += action[hit]
        return streak

    return read


def _affinity(view: View, of: Affinity) -> Reader:
    weights = [(view.index(name), weight) for name, weight in of.weights]
    both = replace(of, part="facets")
    exposure, reach = view.index(of.exposure), of.window + of.tile

    def rank(tiles: Tiles) -> list[tuple[float, str]]:
        above: dict[str, list[float]] = {}
        below: dict[str, list[float]] = {}
        now, oldest = tiles.now, tiles.now - reach
        for start, facet, (_, _, _, last_ms, measures) in tiles.whole(of.tile):
            if start <= oldest:
                break
            assert facet is not None
            age = max(0, now - (start + of.tile if last_ms is None else last_ms))
            decay = 0.5 ** (age / of.half_life) + of.boost * 0.5 ** (age / of.boost_half_life)
            points = fsum([weight * measures[index] for index, weight in weights])
            if facet not in above:
                above[facet], below[facet] = [], []
            above[facet].append(decay * points)
            below[facet].append(decay * measures[exposure])
        # fsum: exact, so that the order of tiles and salts cannot be seen in the result. Ties by name.
        ranked = sorted((-fsum(above[f]) / (of.prior + fsum(below[f])), f) for f in above)
        return [(-negative, facet) for negative, facet in ranked[: of.limit]]

    def read(tiles: Tiles) -> Value:
        best = tiles.ranked.get(both)
        if best is None:
            best = tiles.ranked[both] = rank(tiles)
        return [facet for _, facet in best] if of.part == "facets" else [score for score, _ in best]

    return read
