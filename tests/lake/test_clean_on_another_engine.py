"""clean.sql, run by DuckDB: which words on relations and plays stand. tests/integration does it with Spark itself."""

import duckdb
import pyarrow as pa
import pytest
import sqlglot

from bench.night_in_duckdb import _with_states
from foryou.contract.events import lane_of
from foryou.contract.schemas import schema
from foryou.features import oracle
from foryou.features.operations import DAY
from foryou.features.testing import stream
from foryou.lake.clean import ENDLESS, clean_views

TYPES = {"string": pa.string(), "long": pa.int64(), "int": pa.int32()}
EVENT = [field["name"] for field in schema("event")["fields"] if field["name"] != "properties"]


def fields_of(name):
    """The plain columns of a schema."""
    kinds = ((f["name"], f["type"][1] if isinstance(f["type"], list) else f["type"]) for f in schema(name)["fields"])
    return [pa.field(name, TYPES[kind]) for name, kind in kinds if isinstance(kind, str)]


def stands(events, bound):
    """event id → relation_on of clean.sql, of events that admission let in, by order of arrival."""
    engine = duckdb.connect()
    places = [pa.field("topic", pa.string()), pa.field("source_partition", pa.int32())]
    places += [pa.field("source_offset", pa.int64()), pa.field("time", pa.int64())]
    places += [pa.field("late", pa.bool_()), pa.field("day", pa.date32())]
    rows = [
        {name: event.get(name) for name in EVENT}
        | {"topic": lane_of(event["event_type"]), "source_partition": 0, "source_offset": number, "late": False}
        | {"time": min(event["event_time"], event["received_at"])}
        for number, event in enumerate(events)
    ]
    for name, listed in (("event", rows), ("content", []), ("account", [])):
        engine.register(name, pa.Table.from_pylist(listed, pa.schema([*fields_of(name), *places])))
    states = _with_states("event").replace("SELECT *", "SELECT *, MAP {} AS properties", 1)
    engine.execute(f"CREATE VIEW events AS {states}")
    engine.execute("CREATE VIEW words AS SELECT * FROM events WHERE relation IS NOT NULL AND object IS NOT NULL")
    for name, query in clean_views(bound):
        (text,) = sqlglot.transpile(query, read="spark", write="duckdb")
        engine.execute(f"CREATE VIEW {name} AS {text}")
    return dict(engine.execute("SELECT event_id, COALESCE(relation_on, 0) FROM clean").fetchall())


def by_oracle(clean):
    """event id → 1 where what the event said was taken and not withdrawn."""
    found = {row["event_id"]: row["relation_on"] or 0 for row in clean}
    for row in clean:
        if row["cancels_event_id"] is not None:
            found[row["cancels_event_id"]] -= 1
    return found


@pytest.mark.parametrize("bound", [DAY, ENDLESS], ids=["speed", "truth"])
@pytest.mark.parametrize("seed", range(3))
def test_what_stands_is_what_the_oracle_leaves_standing(seed, bound):
    clean = [row for row in oracle.admit(stream(seed, events=2_000, people=4), bound).clean if row["app_id"] == "demo"]
    found = stands(clean, bound)
    assert found == by_oracle(clean)
    usual = {row["event_id"]: int(row["event_type"] == "view_end") for row in clean if row["relation"] == "watch"}
    assert any(found[event_id] != on for event_id, on in usual.items())
