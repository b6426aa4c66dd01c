"""How the videos of one app do, as columns: the view video_engagement_v1 for every video at once.

The same tiles, the same version rule and the same readings as `foryou.features.merge` (a test compares them), but kept
as running window sums per video: a tile's change moves the sums of the windows that it is in, and the clock moves whole
buckets of tiles in and out. All sums are integers, so nothing drifts. Which measures and windows there are follows from
the view's definition.
"""

from array import array
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foryou.features.definitions import VIEWS
from foryou.features.operations import MINUTE, Ratio, Velocity, WindowSum
from foryou.features.spec import View
from foryou.ranker.catalogue import Catalogue, Rows

ENGAGEMENT = VIEWS["video_engagement_v1"]
TILES = 1 << 21  # some 250 bytes each when used; beyond it the oldest bucket is forgotten, and counted
ORPHANS = 20_000  # tiles of videos that the catalogue does not know yet

Floats = NDArray[np.float64]
Bucket = tuple[int, int]  # tile size, tile start


@dataclass(frozen=True)
class Window:
    """A running sum: a measure over the tiles of one size that overlap [now − ms, now]."""

    measure: str
    ms: int
    tile: int

    def covers(self, start: int, now_ms: int) -> bool:
        """Whether the tile that starts there is in the window at now."""
        return start <= now_ms and start + self.tile > now_ms - self.ms


def windows_of(view: View) -> tuple[Window, ...]:
    """Every window that the view's features read, each once."""
    windows: dict[Window, None] = {}
    for feature in view.features:
        match feature.read:
            case WindowSum() as read:
                windows[Window(read.measure, read.window, read.tile)] = None
            case Ratio() as read:
                windows[Window(read.numerator, read.window, read.tile)] = None
                windows[Window(read.denominator, read.window, read.tile)] = None
            case Velocity() as read:
                windows[Window(read.measure, read.short, read.short_tile)] = None
                windows[Window(read.measure, read.long, read.long_tile)] = None
            case other:
                raise TypeError(f"{feature.name}: the ranker cannot read {type(other).__name__} for all videos at once")
    return tuple(windows)


class Rates:
    """Tiles in, features out. One thread applies and advances the clock, any thread reads."""

    def __init__(self, catalogue: Catalogue, view: View = ENGAGEMENT, tiles: int = TILES) -> None:
        self._catalogue, self._view = catalogue, view
        self._windows = windows_of(view)
        self._measures = tuple(dict.fromkeys(window.measure for window in self._windows))
        self._column = {window: self._measures.index(window.measure) for window in self._windows}
        self._sums = {window: np.zeros(catalogue.capacity, np.int64) for window in self._windows}
        self._slots: dict[tuple[int, int, int, int], int] = {}  # row, tile size, tile start, salt
        self._keys: list[tuple[int, int, int, int]] = []
        self._free: list[int] = []
        self._versions = np.zeros((tiles, 2), np.int64)
        self._values = np.zeros((tiles, len(self._measures)), np.int64)
        self._rows = np.zeros(tiles, np.int32)
        self._buckets: dict[Bucket, array[int]] = {}
        self._orphans: OrderedDict[tuple[str, int, int, int], Mapping[str, Any]] = OrderedDict()
        self._known_videos = 0
        self._now_ms = 0
        self.newest_ms = 0  # newest event in any tile
        self.version = 0  # grows with every change
        self.replays = 0  # tiles refused: fewer rows of the same or an older epoch
        self.forgotten = 0  # tiles dropped for lack of room

    def __len__(self) -> int:
        return len(self._slots)

    def apply(self, tile: Mapping[str, Any]) -> bool:
        """Takes one record of the view's topic; False when it was a replay, expired, or of a video unknown as yet."""
        size, start, salt = tile["tile_ms"], tile["tile_start"], tile["salt"]
        if salt < 0:  # the batch layer's, of days that no rate here looks back to
            return False
        if start + size + self._view.keep_of(size) <= self._now_ms:
            return False
        row = self._catalogue.find(tile["video_id"])
        if row < 0:
            self._orphans[(tile["video_id"], size, start, salt)] = tile
            if len(self._orphans) > ORPHANS:
                self._orphans.popitem(last=False)
                self.forgotten += 1
            return False
        version = (tile["epoch"], tile["n"])
        slot = self._slots.get((row, size, start, salt))
        if slot is None:
            slot = self._new_slot(row, size, start, salt)
        elif version < (int(self._versions[slot, 0]), int(self._versions[slot, 1])):
            self.replays += 1
            return False
        values = np.array([tile[name] for name in self._measures], np.int64)
        change = values - self._values[slot]
        self._versions[slot], self._values[slot] = version, values
        for window, column in self._column.items():
            if window.tile == size and window.covers(start, self._now_ms):
                self._sums[window][row] += change[column]
        self.newest_ms = max(self.newest_ms, tile["last_ms"] or 0)
        self.version += 1
        return True

    def advance(self, now_ms: int) -> None:
        """Moves the clock: buckets enter and leave windows, expired ones are dropped, orphans find their video."""
        before, self._now_ms = self._now_ms, now_ms
        if len(self._catalogue) != self._known_videos and self._orphans:
            self._known_videos = len(self._catalogue)
            for key in [key for key in self._orphans if self._catalogue.find(key[0]) >= 0]:
                self.apply(self._orphans.pop(key))
        if now_ms // MINUTE == before // MINUTE:
            return  # windows and tiles are whole minutes: nothing can have changed sides
        for (size, start), slots in list(self._buckets.items()):
            if start + size + self._view.keep_of(size) <= now_ms:
                self._drop((size, start), before)
                continue
            for window in self._windows:
                if window.tile == size and (inside := window.covers(start, now_ms)) != window.covers(start, before):
                    self._shift(window, slots, 1 if inside else -1)
        self.version += 1

    def read(self, rows: Rows, now_ms: int) -> dict[str, Floats]:
        """Every feature of the view for these rows, as of the last advance."""
        sums = {window: column[rows].astype(np.float64) for window, column in self._sums.items()}
        found: dict[str, Floats] = {}
        for feature in self._view.features:
            match feature.read:
                case WindowSum(measure, window, tile):
                    found[feature.name] = sums[Window(measure, window, tile)]
                case Ratio() as read:
                    above = sums[Window(read.numerator, read.window, read.tile)] + read.mean * read.weight
                    found[feature.name] = above / (sums[Window(read.denominator, read.window, read.tile)] + read.weight)
                case Velocity() as read:
                    short = sums[Window(read.measure, read.short, read.short_tile)] / (read.short / MINUTE)
                    long = sums[Window(read.measure, read.long, read.long_tile)] / (read.long / MINUTE)
                    found[feature.name] = (short + read.smoothing) / (long + read.smoothing)
        return found

    def total(self, measure: str, window_ms: int, rows: Rows) -> Floats:
        """A measure's sum over a window that some feature reads. Raises KeyError for another one."""
        for window in self._windows:
            if (window.measure, window.ms) == (measure, window_ms):
                return self._sums[window][rows].astype(np.float64)
        raise KeyError(f"no feature of {self._view.full_name} reads {measure} over {window_ms} ms")

    def _shift(self, window: Window, slots: "array[int]", sign: int) -> None:
        places = np.array(slots, np.int32)
        np.add.at(self._sums[window], self._rows[places], sign * self._values[places, self._column[window]])

    def _new_slot(self, row: int, size: int, start: int, salt: int) -> int:
        if not self._free and len(self._keys) >= len(self._rows):
            oldest = min(self._buckets, key=lambda bucket: bucket[0] + bucket[1])
            self.forgotten += len(self._buckets[oldest])
            self._drop(oldest, self._now_ms)
        key = (row, size, start, salt)
        if self._free:
            slot = self._free.pop()
            self._keys[slot] = key
        else:
            slot = len(self._keys)
            self._keys.append(key)
        self._slots[key] = slot
        self._rows[slot] = row
        self._buckets.setdefault((size, start), array("i")).append(slot)
        return slot

    def _drop(self, bucket: Bucket, now_ms: int) -> None:
        slots = self._buckets.pop(bucket)
        for window in self._windows:
            if window.tile == bucket[0] and window.covers(bucket[1], now_ms):
                self._shift(window, slots, -1)
        self._values[np.array(slots, np.int32)] = 0
        for slot in slots:
            del self._slots[self._keys[slot]]
        self._free.extend(slots)
