"""The compiled query, run: SQLite is one more engine, a table of differences, and must find the oracle's tiles.

This holds the shared part of the compilers to the oracle without a JVM; tests/integration does it with Flink itself.
"""

import json
import sqlite3
from collections import Counter

import pytest
from sqlglot import exp
from sqlglot.dialects import SQLite

from foryou.contract.schemas import field_names
from foryou.features import merge, oracle
from foryou.features.compilers.flink import FLINK
from foryou.features.compilers.spark import SPARK
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
        yield {
            **plain,
            "sign": 1,
            "tile_time": row["time"],
            "salted_by": row["event_id"],
            "withdrawn_ms": None,
            "nth": nth,
        }
        if row["cancels_time"] is not None:
            withdrawn = {"tile_time": row["cancels_time"], "salted_by": row["cancels_event_id"]}
            withdrawn["withdrawn_ms"] = row["cancels_watch_ms"]
            yield {**plain, "sign": -1, **withdrawn, "nth": nth}


def sqlite_with(clean):
    engine = sqlite3.connect(":memory:")
    engine.row_factory = sqlite3.Row
    engine.create_function("salt", 2, oracle.crc_salt, deterministic=True)
    rows = list(contributions(clean))
    engine.execute(f"CREATE TABLE contributions ({', '.join(rows[0])})")
    places = ", ".join("?" * len(rows[0]))
    engine.executemany(f"INSERT INTO contributions VALUES ({places})", [tuple(row.values()) for row in rows])
    return engine


def tiles_by_sqlite(engine, view, query):
    found = {}
    for row in engine.execute(to_sql(query, SQLITE)):
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
    query = tile_query(view, SQLITE, epoch=1)
    assert tiles_by_sqlite(sqlite_with(clean), view, query) == oracle.tiles(view, clean)


OPPOSITE = {exp.EQ: exp.NEQ, exp.NEQ: exp.EQ, exp.LT: exp.GTE, exp.GTE: exp.LT, exp.GT: exp.LTE, exp.LTE: exp.GT}
OPPOSITE |= {exp.And: exp.Or, exp.Or: exp.And, exp.Add: exp.Sub, exp.Sub: exp.Add, exp.Min: exp.Max, exp.Max: exp.Min}


def operators(query):
    return [node for node in query.walk() if type(node) in OPPOSITE]


def flipped(query, number):
    """The query with one of its operators turned round."""
    spoilt = query.copy()
    node = operators(spoilt)[number]
    node.replace(OPPOSITE[type(node)](**node.args))
    return spoilt


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_whichever_operator_is_flipped_the_comparison_finds_it(view):
    # The schema lets every event say how long it was watched, though only one kind means it.
    events = (event | {"watch_ms": event["watch_ms"] or 700} for event in stream(0, events=800))
    clean = oracle.admit(events, DAY).clean
    engine, wanted = sqlite_with(clean), oracle.tiles(view, clean)
    query = tile_query(view, SQLITE, epoch=1)
    unseen = [
        number
        for number in range(len(operators(query)))
        if tiles_by_sqlite(engine, view, flipped(query, number)) == wanted
    ]
    assert [operators(query)[number].sql() for number in unseen] == []


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_flink_and_spark_have_the_operators_that_were_flipped(view):
    """So what is found here is found there: a compiler adds none, but for Flink's nought that veils a constant."""
    here = Counter(map(type, operators(tile_query(view, SQLITE, epoch=1))))
    assert Counter(map(type, operators(tile_query(view, SPARK, epoch=1)))) == here
    veil = Counter({exp.Add: 1}) if len(view.tiles) == 1 else Counter()
    assert Counter(map(type, operators(tile_query(view, FLINK, epoch=1)))) == here + veil
