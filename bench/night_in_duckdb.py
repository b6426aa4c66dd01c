"""The night's clean rows and tiles by DuckDB, from the same silver rows: to compare answers and time. No product.

One text serves both: the SQL of foryou/lake/sql and the definitions, written for DuckDB by sqlglot. So this checks the
engine and the job around it; the oracle checks the definitions (tests/integration/on_lake/test_night_tiles.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import sqlglot
from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB

from foryou.contract.relations import RELATIONS, WATCH, WATCHING
from foryou.contract.schemas import AvroSchema, schema
from foryou.features.compilers.spark import EPOCH, spark_type
from foryou.features.compilers.sql import Engine, Part, tile_query, to_sql
from foryou.features.definitions import VIEWS
from foryou.features.merge import BATCH_SALT
from foryou.features.operations import Collect
from foryou.features.spec import View
from foryou.lake.clean import clean_views
from foryou.lake.delta_files import live_files
from foryou.lake.silver import KINDS, Kind
from foryou.lake.tables import Lake


@dataclass(frozen=True)
class Compared:
    """A view's tiles: how many there are, and how many only one of the two has (0 when all agree)."""

    view: str
    tiles: int
    only_in_spark: int
    only_in_duckdb: int


class NightInDuckDB:
    """A connection with the machine's share of a night: its cores, its memory."""

    def __init__(self, lake: Lake, work: Path, cores: int = 2, memory: str = "8GB") -> None:
        self._lake, self._work = lake, work
        work.mkdir(parents=True, exist_ok=True)
        self._db = duckdb.connect(
            config={"threads": cores, "memory_limit": memory, "temp_directory": str(work / "spill")}
        )

    def make(self) -> None:
        """Clean rows and every view's tiles, as Parquet files in `work`."""
        for name, kind in zip(("silver_events", "content", "account"), KINDS, strict=False):
            self._open(name, Path(kind.table(self._lake)), _empty(kind))
        self._view("events", _first_copies(_with_states("silver_events")))
        self._view("words", "SELECT * FROM events WHERE relation IS NOT NULL AND object IS NOT NULL")
        for name, query in clean_views():
            (text,) = sqlglot.transpile(query, read="spark", write="duckdb")
            if name == "video_versions":
                text = f"SELECT * FROM ({text}) WHERE valid_from < valid_to"
            self._view(name, text)
        self._write("clean", "SELECT * FROM clean")
        self._view("written", f"SELECT * FROM read_parquet('{self._work}/clean.parquet')")
        columns = '*, 1 AS sign, "time" AS tile_time, event_id AS salted_by, NULL::BIGINT AS withdrawn_ms'
        self._view("contributions", f"SELECT {columns} FROM written")
        for view in VIEWS.values():
            self._write(view.full_name, to_sql(tile_query(view, DUCKDB, EPOCH), DUCKDB))

    def compare(self) -> Iterator[Compared]:
        """Each view's tiles against the lake's, row by row."""
        for view in VIEWS.values():
            self._open("in_lake", Path(self._lake.tiles(view)))
            ours, theirs = (
                f"SELECT {_plain(view)} FROM {source}" for source in ("in_lake", self._file(view.full_name))
            )
            counted = [
                self._one(f"SELECT COUNT(*) FROM ({query})")
                for query in (theirs, f"{ours} EXCEPT ALL {theirs}", f"{theirs} EXCEPT ALL {ours}")
            ]
            yield Compared(view.full_name, *counted)

    def _open(self, name: str, table: Path, empty: str = "") -> None:
        """A Delta table's files as a view; the day is in their folders' names. `empty` stands for no files."""
        files = ", ".join(f"'{file.path}'" for file in live_files(table))
        read = f"SELECT * FROM read_parquet([{files}], hive_partitioning = true, union_by_name = true)"
        self._view(name, read if files else empty)

    def _view(self, name: str, query: str) -> None:
        self._db.execute(f'CREATE OR REPLACE VIEW "{name}" AS {query}')

    def _write(self, name: str, query: str) -> None:
        self._db.execute(f"COPY ({query}) TO '{self._work}/{name}.parquet' (FORMAT parquet, COMPRESSION zstd)")

    def _file(self, name: str) -> str:
        return f"read_parquet('{self._work}/{name}.parquet')"

    def _one(self, query: str) -> int:
        row: Any = self._db.execute(query).fetchone()
        return int(row[0])


def _empty(kind: Kind) -> str:
    """No rows in the kind's columns."""
    types = {field["name"]: spark_type(field["type"]) for field in schema(kind.schema)["fields"]}
    places = {"topic": "STRING", "source_partition": "INT", "source_offset": "BIGINT"}
    columns = (f'CAST(NULL AS {type_}) AS "{name}"' for name, type_ in (types | places).items() if "<" not in type_)
    return f"SELECT {', '.join(columns)} WHERE false"


def _plain(view: View) -> str:
    """The columns that both say, lists in one order."""
    lists = {measure.name for measure in view.measures if isinstance(measure.op, Collect)}
    names = [*view.key_columns, "n", "first_ms", "last_ms", *(measure.name for measure in view.measures)]
    return ", ".join(f"COALESCE(list_sort({name}), []) AS {name}" if name in lists else name for name in names)


def _with_states(table: str) -> str:
    """As foryou.lake.clean.with_states says it."""
    watching = f"event_type IN {WATCHING!r}"
    kinds, on = [f"WHEN {watching} THEN '{WATCH}'"], [f"'{word}'" for word in WATCHING]
    objects = [f"WHEN {watching} THEN CASE WHEN watch_ms IS NOT NULL THEN impression_id || '|' || video_id END"]
    for each in RELATIONS:
        spoken = ", ".join(f"'{word}'" for word in (each.on, each.off) if word)
        kinds.append(f"WHEN event_type IN ({spoken}) THEN '{each.name}'")
        objects.append(f"WHEN event_type IN ({spoken}) THEN {each.object}")
        on.append(f"'{each.on}'")
    kind, about = (f"CASE {' '.join(branches)} END" for branches in (kinds, objects))
    weight = f"CASE WHEN {watching} THEN watch_ms ELSE 0 END AS weight"
    switches_on = f"event_type IN ({', '.join(on)}) AS switches_on"
    return f"SELECT *, {kind} AS relation, {about} AS object, {switches_on}, {weight} FROM {table}"


def _first_copies(rows: str) -> str:
    """The rule of foryou.lake.silver.first_copies: silver has one row per event, so this is work that finds nothing."""
    twice = f"SELECT app_id, event_id FROM ({rows}) GROUP BY ALL HAVING COUNT(*) > 1"
    order = "PARTITION BY app_id, event_id ORDER BY late, topic, source_partition, source_offset"
    return f"""
        SELECT r.* FROM ({rows}) AS r ANTI JOIN ({twice}) AS t USING (app_id, event_id)
        UNION ALL
        SELECT r.* FROM ({rows}) AS r SEMI JOIN ({twice}) AS t USING (app_id, event_id)
        QUALIFY ROW_NUMBER() OVER ({order}) = 1
    """


def _salt(text: Part, salts: int) -> Part:
    return exp.Neg(this=exp.Literal.number(-BATCH_SALT))


def _collect(condition: Part, values: list[Part], record: AvroSchema) -> Part:
    names = [field["name"] for field in record["fields"]]
    pairs = [exp.PropertyEQ(this=exp.to_identifier(n), expression=v) for n, v in zip(names, values, strict=True)]
    listed = exp.ArrayAgg(this=exp.Struct(expressions=pairs))
    return exp.Filter(this=listed, expression=exp.Where(this=condition))


DUCKDB = Engine(dialect=DuckDB, salt=_salt, veiled=lambda constant: constant, collect=_collect)
