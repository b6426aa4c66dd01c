"""Features as of a moment of the past for many entities at once, from gold's tiles."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.compute as pc

from foryou.features.merge import Row, tile
from foryou.features.point_in_time import values_at
from foryou.features.spec import Value, View
from foryou.lake.delta_files import read
from foryou.lake.tables import Lake

Asked = tuple[str, str, int]  # app_id, entity, moment (UTC ms)


def features_at(
    lake: Lake, view: View, asked: Iterable[Asked], wanted: Collection[str] | None = None
) -> dict[Asked, Mapping[str, Value]]:
    """Values of the view's features (all, or those wanted) for each (app, entity, moment).

    One that has no tiles has the values of somebody who did nothing. Raises DeltaUnreadable when the view's tiles were
    never made.
    """
    unique = set(asked)
    if not unique:
        return {}
    rows = tiles_of(lake, view, {entity for _, entity, _ in unique}, _span(view, [moment for _, _, moment in unique]))
    nothing: Row = {}
    return {each: values_at(view, rows.get(each[:2], nothing), each[2], wanted) for each in unique}


def tiles_of(lake: Lake, view: View, entities: Collection[str], days: tuple[str, str]) -> dict[tuple[str, str], Row]:
    """All tiles of some entities within some days (ISO dates, both in), per (app, entity)."""
    where = pc.field(view.entity).isin(sorted(entities))
    rows: dict[tuple[str, str], Row] = defaultdict(dict)
    for record in read(Path(lake.tiles(view)), days=days, where=where).to_pylist():
        key, state = tile(view, record)
        rows[record["app_id"], record[view.entity]][key] = state
    return rows


def _span(view: View, moments: Collection[int]) -> tuple[str, str]:
    """The days whose tiles any of the moments can touch."""
    longest = max(resolution.ms for resolution in view.tiles)
    return _day(min(moments) - view.keep - longest), _day(max(moments))


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1_000, UTC).date().isoformat()
