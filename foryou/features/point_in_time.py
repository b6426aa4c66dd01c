"""What features were worth at a moment of the past, from the batch layer's tiles. Pure.

Known at a moment are the tiles that had ended by then: `tile_start + tile_ms <= moment`. Of the tile that was running
nothing counts, for it holds what happened after the moment, too, and a tile cannot be cut. So a value here is what was
served, less the events of the running tile: at most a minute where minute tiles are read, an hour or a day where those
are. The other edge: a tile has events that arrived late, after the moment; the batch layer has put them where they
happened, while the speed layer did not know them yet.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from foryou.features.merge import BATCH_SALT, Row
from foryou.features.reading import State, Tiles, readers
from foryou.features.spec import TileKey, Value, View

ALL_BATCH = 1 << 62  # a cut-off after everything: the batch layer's tiles count, whenever they end


def ended(key: TileKey, moment: int) -> bool:
    """Whether a tile was over at `moment` (UTC ms). The guard: whatever comes after it is the future."""
    _, tile_ms, start, _ = key
    return start + tile_ms <= moment


def known_at(row: Iterable[tuple[TileKey, State]], moment: int) -> Row:
    """The tiles of an entity that were over, as the batch layer's, whatever salt they come with."""
    known: Row = {}
    for key, state in row:
        if ended(key, moment):
            facet, tile_ms, start, _ = key
            known[facet, tile_ms, start, BATCH_SALT] = state
    return known


def values_at(view: View, row: Row, moment: int, wanted: Collection[str] | None = None) -> dict[str, Value]:
    """Features of the view (all, or those wanted) as of `moment`, of an entity whose batch tiles are `row`."""
    tiles = Tiles(view, known_at(row.items(), moment).items(), moment, ALL_BATCH)
    return {name: reader(tiles) for name, reader in readers(view) if wanted is None or name in wanted}
