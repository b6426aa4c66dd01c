"""The night's word on a day takes the place of what the speed layer said: raw rows and rollups together.

The lake lays a day down as `<publish>/<table>/day=YYYY-MM-DD/*.parquet`. The day is put together beside the tables
(`<table>_nightly`), then each table's partition is replaced in one step. Killed anywhere and run again, it ends in the
same rows: the day is made anew from the files, and from those rows of the speed layer that the night could not know.

The rule: batch is complete for what was received before the cut-off. Rows of origin `speed` that were received at or
after it, and that batch does not have, stay; the loader adds only such rows to a replaced day from then on.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from foryou.analytics.consent import ACCOUNTS, Hiding
from foryou.analytics.engine import Engine
from foryou.analytics.sql import statement
from foryou.analytics.statement import split

ROWS = 100_000  # of a Parquet file, in memory at a time
ROLLUPS = ("minutes", "hours", "days")
_BULK = {
    "max_partitions_per_insert_block": "1000",
    "input_format_null_as_default": "1",
    "max_execution_time": "300",
    "max_bytes_before_external_group_by": "300000000",  # a day's sets of people need not fit into memory
}


class NothingToReplaceError(Exception):
    """No folder of this day is there."""


@dataclass(frozen=True, slots=True)
class Published:
    """A table as the lake lays it down. `read`: where its rows go first, if they must be flattened; `keeps`: rows of
    the speed layer survive beyond the cut-off."""

    table: str
    read: str | None = None
    keeps: bool = False
    rollups: tuple[str, ...] = ()

    @property
    def nightly(self) -> str:
        """Where its day is put together."""
        return f"{self.table}_nightly"


PUBLISHED = (
    Published("events", keeps=True, rollups=ROLLUPS),
    Published("served", read="served_read", keeps=True),
    Published("trends"),
    Published("parity"),
)


class Nightly:
    """Replaces days. `publish` is the lake's folder; `turn` and `finish` keep the loader out of a day under way."""

    def __init__(
        self,
        engine: Engine,
        publish: Path,
        turn: threading.RLock,
        finish: Callable[[], None] = lambda: None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        hiding: Hiding | None = None,
    ) -> None:
        self._hiding = hiding
        self._engine, self._publish, self._turn, self._finish, self._clock = engine, publish, turn, finish, clock

    def replace(self, day: date, cut_off: int) -> dict[str, int]:
        """Replaces every table that has a folder of the day; returns table → rows of the day afterwards.

        `cut_off`: UTC ms; batch is complete for what was received before. Raises NothingToReplaceError, QueryError,
        and what `finish` does.
        """
        found = [(each, folder) for each in PUBLISHED if (folder := self._folder(each, day)).is_dir()]
        if not found:
            raise NothingToReplaceError(f"there is no {self._publish}/<table>/day={day}")
        with self._turn:
            if self._hiding is not None:
                self._hiding.withheld.read(self._publish / ACCOUNTS)
            self._finish()
            return {each.table: self._one(each, folder, day, cut_off) for each, folder in found}

    def _folder(self, each: Published, day: date) -> Path:
        return self._publish / each.table / f"day={day.isoformat()}"

    def _one(self, each: Published, folder: Path, day: date, cut_off: int) -> int:
        self._truncate(each.nightly, *(f"{name}_nightly" for name in each.rollups), *([each.read] if each.read else []))
        self._fill(each, folder, day)
        bound = {"day": day.isoformat(), "cut_off": str(cut_off)}
        if each.keeps:
            self._engine.query(statement(f"{each.table}_keep"), params=bound, settings=_BULK)
            self._engine.query(statement("replaced_mark"), params={**bound, "table": each.table})
        if self._hiding is not None and self._hiding.in_staged(each.table, each.nightly):
            self._hiding.settle(each.nightly, wait=True)  # what is patched cannot take another's place
        for name in each.rollups:
            params = {"target": f"{name}_nightly", "source": each.nightly}
            self._engine.query(statement(name), params=params, settings=_BULK)
        for name in (*each.rollups, each.table):
            self._swap(name, day)
        self._truncate(each.nightly, *(f"{name}_nightly" for name in each.rollups))
        return int(self._engine.query(statement("day_rows"), params={"table": each.table, "day": bound["day"]}).text)

    def _swap(self, table: str, day: date) -> None:
        made = self._engine.query("SELECT count() FROM {t:Identifier}", params={"t": f"{table}_nightly"}).text
        name = "swap" if int(made) else "drop_day"  # a swap with nothing is refused
        sql = next(line for line in split(statement(name)) if f"ALTER TABLE {table} " in line)
        self._engine.query(sql, params={"day": day.isoformat()})

    def _fill(self, each: Published, folder: Path, day: date) -> None:
        target = each.read or each.nightly
        types = columns(self._engine, target)
        constants: dict[str, Any] = {"day": day, "origin": "batch", "as_of": self._clock()}
        for batch in _batches(folder):
            rows = _conform(batch, types, constants)
            names = ", ".join(f"`{name}`" for name in rows.schema.names)
            stream = _stream(rows)
            self._engine.insert(f"INSERT INTO {target} ({names})", stream, format="ArrowStream", settings=_BULK)
        if each.read:
            self._engine.query(statement(f"{each.table}_flatten"), settings=_BULK)
            self._truncate(each.read)

    def _truncate(self, *tables: str) -> None:
        for table in tables:
            self._engine.query("TRUNCATE TABLE {t:Identifier}", params={"t": table})


def row_hash(engine: Engine, table: str, day: date) -> tuple[int, str]:
    """(rows, hash) of a table's or view's day, in whatever order its rows lie, and without `as_of`. Of a rollup ask
    its view (per_minute, …): the table's rows are partial sums, however far they have been merged."""
    answer = engine.query(statement("row_hash"), params={"table": table, "day": day.isoformat()}, settings=_BULK)
    rows, hashed = answer.text.split()
    return int(rows), hashed


def columns(engine: Engine, table: str) -> dict[str, str]:
    """The columns of a table that can be written, and their types."""
    lines = engine.query(statement("columns"), params={"table": table}).text.splitlines()
    return {row["name"]: row["type"] for row in map(json.loads, lines)}


def _batches(folder: Path) -> Iterator[pa.RecordBatch]:
    for path in sorted(folder.glob("*.parquet")):
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(batch_size=ROWS)


def _conform(batch: pa.RecordBatch, types: dict[str, str], constants: dict[str, Any]) -> pa.RecordBatch:
    """The columns that the table has: whole milliseconds as timestamps where it wants them, and the constants."""
    arrays: dict[str, pa.Array] = {}
    for name, column in _flat(batch):
        if name not in types or name in constants:
            continue
        moment = "DateTime64(3" in types[name] and pa.types.is_integer(column.type)
        arrays[name] = column.cast(pa.int64()).cast(pa.timestamp("ms", "UTC")) if moment else column
    for name, value in constants.items():
        if name in types:
            arrays[name] = pa.array([value] * len(batch), _constant_type(value))
    return pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays))


def _flat(batch: pa.RecordBatch) -> Iterator[tuple[str, pa.Array]]:
    """The columns; a list of records as a list per field, `items.position`, which is how ClickHouse nests."""
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if not (pa.types.is_list(column.type) and pa.types.is_struct(column.type.value_type)):
            yield name, column
            continue
        for nth, field in enumerate(column.type.value_type):
            values = pc.struct_field(column.values, [nth])
            yield f"{name}.{field.name}", pa.ListArray.from_arrays(column.offsets, values)


def _constant_type(value: Any) -> pa.DataType:
    if isinstance(value, datetime):
        return pa.timestamp("ms", "UTC")
    return pa.date32() if isinstance(value, date) else pa.string()


def _stream(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def hashes(engine: Engine, tables: Sequence[str], day: date) -> dict[str, tuple[int, str]]:
    """`row_hash` of several tables."""
    return {table: row_hash(engine, table, day) for table in tables}
