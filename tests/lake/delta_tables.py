"""Delta tables written by hand: the log as the protocol says, without Spark."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from foryou.features.merge import BATCH_SALT
from foryou.features.operations import Collect

DAY_MS = 86_400_000


def commit(table: Path, version: int, *actions) -> None:
    log = table / "_delta_log"
    log.mkdir(parents=True, exist_ok=True)
    (log / f"{version:020}.json").write_text("".join(json.dumps(action) + "\n" for action in actions), "utf-8")


def protocol(**more):
    return {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2, **more}}


def add(table: Path, name: str, rows, day: str, kinds=None, **more):
    path = table / f"day={day}" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, kinds), path)
    return {"add": {"path": f"day={day}/{name}", "partitionValues": {"day": day}, "dataChange": True, **more}}


def tile(view, entity, tile_ms, start, app="demo", facet=None, first=None, last=None, **measures):
    """A row of gold/tiles; measures that are not given are zero."""
    row = {"app_id": app, view.entity: entity, "salt": BATCH_SALT, "tile_ms": tile_ms, "tile_start": start}
    row |= {"epoch": 1, "n": 1, "first_ms": first or start, "last_ms": last or start}
    if view.facet:
        row[view.facet] = facet
    for measure in view.measures:
        empty = [] if isinstance(measure.op, Collect) else measure.op.zero
        row[measure.name] = measures.get(measure.name, empty)
    return row


def lay_tiles(lake, view, rows) -> None:
    """A gold table of tiles, in one commit."""
    table = Path(lake.tiles(view))
    by_day = {}
    for row in rows:
        by_day.setdefault(row["tile_start"] // DAY_MS, []).append(row)
    adds = []
    for number, listed in sorted(by_day.items()):
        day = str(pa.scalar(number, pa.int32()).cast(pa.date32()).as_py())
        adds.append(add(table, "part-0.parquet", listed, day))
    commit(table, 0, protocol(), *adds)
