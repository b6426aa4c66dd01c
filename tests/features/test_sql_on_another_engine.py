"""The compiled query, run: SQLite is one more engine, a table of differences, and must find the oracle's tiles.

This holds the shared part of the compilers to the oracle without a JVM; tests/integration does it with Flink itself.
"""

import json
import sqlite3

import pytest
from sqlglot import exp
from sqlglot.dialects import SQLite

from foryou.contract.schemas import field_names
from foryou.features import merge, oracle
from foryou.features.compilers.sql import Engine, tile_query, to_sql
from foryou.features.definitions import VIEWS
from foryou.features.operations import DAY, MINUTE, Collect
from foryou.features.testing import stream


def collect(condition, values, record):
    pairs = [part for f, v in zip(record["fields"], values, strict=True) for part in (exp.Literal.string(f["name"]), v)]
    return exp.func("json_group_array", exp.Case().when(condition, exp.func("json_object", *pairs)))


SQLITE = Engine(
    dialect=SQLite,
    salt=lambda text, salts: exp.func("salt", text, exp.Literal.number(salts)),
    veiled=lambda constant: constant,
    collect=collect,
)


def contributions(clean):
    """What jobs/streaming makes of clean events: each, and each withdrawal."""
    arrived = {}
    for row in clean:
        minute = row["app_id"], row["user_key"], row["time"] // MINUTE
        nth = arrived[minute] = arrived.get(minute, 0) + 1
        plain = {name: row[name] for name in field_names("clean") if name != "properties"}
        yield {**plain, "sign": 1, "tile_time": row["time"], "salted_by": row["event_id"], "nth": nth}
        if row["cancels_time"] is not None:
            withdrawn = {"tile_time": row["cancels_time"], "salted_by": row["cancels_event_id"]}
            yield {**plain, "sign": -1, **withdrawn, "nth": nth}


def tiles_by_sqlite(view, clean):
    engine = sqlite3.connect(":memory:")
    engine.row_factory = sqlite3.Row
    engine.create_function("salt", 2, oracle.crc_salt, deterministic=True)
    rows = list(contributions(clean))
    engine.execute(f"CREATE TABLE contributions ({', '.join(rows[0])})")
    places = ", ".join("?" * len(rows[0]))
    engine.executemany(f"INSERT INTO contributions VALUES ({places})", [tuple(row.values()) for row in rows])
    found = {}
    for row in engine.execute(to_sql(tile_query(view, SQLITE, epoch=1), SQLITE)):
        record = dict(row)
        for measure in view.measures:
            if isinstance(measure.op, Collect):
                listed = json.loads(record[measure.name])
                record[measure.name] = [action for action in listed if action is not None]
        key, state = merge.tile(view, record)
        found.setdefault((record["app_id"], record[view.entity]), {})[key] = state
    return found


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize("seed", range(3))
def test_the_query_finds_the_tiles_of_the_oracle(view, seed):
    clean = oracle.admit(stream(seed, events=1500), DAY).clean
    assert tiles_by_sqlite(view, clean) == oracle.tiles(view, clean)
