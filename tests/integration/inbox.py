"""Events laid down in the lake's inbox in bronze's columns, as `foryou import` does: the night without Kafka."""

import json
from collections.abc import Iterable
from typing import Any
from zlib import crc32

import pyarrow as pa
import pyarrow.parquet as pq

from foryou.contract.codec import Encoder
from foryou.contract.events import lane_of
from foryou.contract.schemas import schema
from foryou.contract.topics import TOPICS
from foryou.lake.bronze import save_schema
from foryou.lake.tables import Lake

COLUMNS = {
    "origin": pa.string(),
    "topic": pa.string(),
    "partition": pa.int32(),
    "offset": pa.int64(),
    "kafka_time": pa.int64(),
    "key": pa.string(),
    "schema_id": pa.int32(),
    "value": pa.binary(),
}


def lay_down(lake: Lake, name: str, events: Iterable[dict[str, Any]], broken: Iterable[bytes] = ()) -> None:
    """Writes events (in order of arrival) and broken values as one import."""
    encoders: dict[str, Encoder] = {}
    offsets: dict[str, int] = {}
    rows = []
    for event in events:
        lane = str(lane_of(event["event_type"]))
        if lane not in encoders:
            text = json.dumps(schema(TOPICS[lane].schema))
            number = -(crc32(text.encode()) & 0x3FFFFFFF) - 1
            save_schema(lake.schemas, number, text)
            encoders[lane] = Encoder(json.loads(text), number)
        rows.append(_row(lane, name, offsets, event["received_at"], encoders[lane](event)))
    rows += [_row("events.action.v1", name, offsets, 1_700_000_000_000, value) for value in broken]
    draft = lake.inbox / f".{name}"
    draft.mkdir(parents=True)
    table = pa.Table.from_pylist(
        rows,
        pa.schema(list(COLUMNS.items())),
    )
    pq.write_table(table, draft / "part-0.parquet")
    draft.rename(lake.inbox / name)


def _row(lane: str, name: str, offsets: dict[str, int], received_at: int, value: bytes) -> dict[str, Any]:
    offset = offsets[lane] = offsets.get(lane, -1) + 1
    framed = len(value) > 5 and value[0] == 0
    return {
        "origin": "import",
        "topic": f"import.{lane}.{name}",
        "partition": 0,
        "offset": offset,
        "kafka_time": received_at,
        "key": "",
        "schema_id": int.from_bytes(value[1:5], "big", signed=True) if framed else None,
        "value": value,
    }
