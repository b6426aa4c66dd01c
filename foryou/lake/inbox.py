"""Accepted events of an import as bronze's rows, in Parquet parts, and the schemas they are written with."""

import json
import zlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from foryou.contract.codec import Encoder
from foryou.contract.events import Lane
from foryou.contract.gate import Accepted
from foryou.contract.schemas import schema
from foryou.contract.topics import TOPICS
from foryou.lake.tables import Lake

ORIGIN = "import"
PART_ROWS = 500_000
FLUSH_ROWS = 50_000  # a row group; bounds the memory
BRONZE = pa.schema(
    [
        ("origin", pa.string()),
        ("topic", pa.string()),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("kafka_time", pa.int64()),
        ("key", pa.string()),
        ("schema_id", pa.int32()),
        ("value", pa.binary()),
    ]
)


def schema_text(lane: Lane) -> str:
    """The writer schema of a lane, as the lake keeps it."""
    return json.dumps(schema(TOPICS[lane].schema))


def schema_id_of(text: str) -> int:
    """The id of an import's writer schema: below zero, so that it never meets a registry's."""
    return -(zlib.crc32(text.encode()) & 0x3FFFFFFF) - 1


def write_schemas(lake: Lake, drafts: Path) -> None:
    """Every lane's schema into the lake, where it is not there yet."""
    lake.schemas.mkdir(parents=True, exist_ok=True)
    for lane in Lane:
        text = schema_text(lane)
        path = lake.schemas / f"{schema_id_of(text)}.avsc"
        if not path.exists():
            draft = drafts / path.name
            draft.write_text(text, "utf-8")
            draft.replace(path)


class InboxWriter:
    """Writes accepted events as bronze's rows, in parts; offsets run per lane."""

    def __init__(self, folder: Path, import_id: str) -> None:
        self._folder = folder
        self.counts = dict.fromkeys(Lane, 0)
        self._topic = {lane: f"import.{lane.value}.{import_id}" for lane in Lane}
        texts = {lane: schema_text(lane) for lane in Lane}
        self._id = {lane: schema_id_of(text) for lane, text in texts.items()}
        self._encode = {lane: Encoder(schema(TOPICS[lane].schema), self._id[lane]) for lane in Lane}
        self._rows: list[tuple[Any, ...]] = []
        self._writer: pq.ParquetWriter | None = None
        self._parts = self._in_part = 0

    def add(self, accepted: Accepted, received_at: int) -> None:
        """One more record, in the order of its lane."""
        lane = accepted.lane
        offset = self.counts[lane]
        self.counts[lane] = offset + 1
        value = self._encode[lane](accepted.record)
        self._rows.append((self._topic[lane], offset, received_at, accepted.key, self._id[lane], value))
        if len(self._rows) == FLUSH_ROWS:
            self._flush()

    def close(self) -> None:
        """Writes what is left."""
        self._flush()
        if self._writer is not None:
            self._writer.close()

    def _flush(self) -> None:
        if not self._rows:
            return
        topic, offset, at, key, schema_id, value = map(list, zip(*self._rows, strict=True))
        count = len(self._rows)
        columns = [[ORIGIN] * count, topic, [0] * count, offset, at, key, schema_id, value]
        if self._writer is None:
            path = self._folder / f"part-{self._parts:05}.parquet"
            self._writer = pq.ParquetWriter(path, BRONZE, compression="zstd")
        arrays = [pa.array(column, kind) for column, kind in zip(columns, BRONZE.types, strict=True)]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=BRONZE))
        self._rows = []
        self._in_part += count
        if self._in_part >= PART_ROWS:
            self._writer.close()
            self._writer, self._in_part, self._parts = None, 0, self._parts + 1
