"""admit.sql and contribute.sql, run: DuckDB is one more engine, and must judge, withdraw and add as the oracle does.

This holds the text to the oracle without a JVM; tests/integration/on_stack/test_laws.py does it with Flink itself.
"""

import re

import duckdb
import pyarrow as pa
import pytest
import sqlglot

from foryou.contract.events import lane_of
from foryou.contract.schemas import field_names, schema
from foryou.features import admission, oracle
from foryou.features.operations import DAY
from foryou.features.testing import stream

COLUMNS = [field["name"] for field in schema("event")["fields"] if field["name"] != "properties"]
KINDS = {"string": pa.string(), "long": pa.int64(), "int": pa.int32()}
TOLD = ("event_id", "time", "relation_on", "cancels_time", "cancels_event_id", "cancels_watch_ms")


def arrow_type(field):
    kind = field["type"]
    return KINDS[kind if isinstance(kind, str) else kind[1]]


def judged(events, spoil=lambda text: text):
    """The verdicts of admit.sql on events in order of arrival; their place in the order stands for Flink's clock."""
    engine = duckdb.connect()
    fields = [pa.field(f["name"], arrow_type(f)) for f in schema("event")["fields"] if f["name"] in COLUMNS]
    places = [pa.field("source_partition", pa.int32()), pa.field("source_offset", pa.int64())]
    for lane in ("events.action.v1", "events.context.v1"):
        rows = [
            {name: event.get(name) for name in COLUMNS} | {"source_partition": 0, "source_offset": number}
            for number, event in enumerate(events)
            if lane_of(event["event_type"]) == lane
        ]
        engine.register(lane, pa.Table.from_pylist(rows, pa.schema([*fields, *places])))
    for name in ("admit", "contribute"):
        for view, query in admission.views(name, {"lateness_ms": DAY, "event": COLUMNS}):
            text = spoil(query).replace("PROCTIME()", "source_offset").replace("FROM admitted", "FROM verdicts")
            (text,) = sqlglot.transpile(text, read="spark", write="duckdb")
            engine.execute(f'CREATE VIEW "{view}" AS {text}')
    return engine


def rows_of(engine, query):
    found = engine.execute(query)
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def by_oracle(events):
    # A word on nothing has no relation_on in the one and 0 in the other; tiles take both for nothing.
    return sorted(tuple(row[name] or None for name in TOLD) for row in oracle.admit(events, DAY).clean)


def by_engine(engine):
    rows = rows_of(engine, "SELECT * FROM verdicts WHERE verdict = 'clean'")
    return sorted(tuple(row[name] or None for name in TOLD) for row in rows)


@pytest.mark.parametrize("seed", range(4))
def test_admission_says_what_the_oracle_says(seed):
    events = stream(seed, events=2_000, people=4)
    assert by_engine(judged(events)) == by_oracle(events)


def test_newest_words_on_relations_are_told_and_watch_times_are_not():
    events = stream(1, events=1_000, people=4)
    told = rows_of(judged(events), "SELECT relation, object, event_id FROM verdicts WHERE is_newest")
    last = {(row["relation"], row["event_id"]) for row in told}
    words = oracle.admit(events, DAY).relations
    assert {(key[2], word.event_id) for key, word in words.items()} <= last
    assert all(row["relation"] != "watch" for row in told)


def test_contributions_are_the_event_and_what_it_withdraws():
    events = stream(2, events=1_000, people=4)
    query = "SELECT event_id, sign, tile_time, salted_by, withdrawn_ms FROM contributions WHERE verdict = 'clean'"
    expected = []
    for row in oracle.admit(events, DAY).clean:
        expected.append((row["event_id"], 1, row["time"], row["event_id"], None))
        if row["cancels_time"] is not None:
            withdrawn = (row["cancels_time"], row["cancels_event_id"], row["cancels_watch_ms"])
            expected.append((row["event_id"], -1, *withdrawn))
    assert sorted(tuple(r.values()) for r in rows_of(judged(events), query)) == sorted(expected)
    assert any(ms for *_, ms in expected)


@pytest.fixture(scope="module")
def told():
    """Events, and what the oracle says of them."""
    events = stream(0, events=1_000, people=4)
    return events, by_oracle(events)


@pytest.mark.parametrize(
    ("of", "instead"),
    [
        (r"MAX\(word\)", "MIN(word)"),
        (r"RIGHT\(said, 1\) = '\+'", "TRUE"),
        (r"<= :?86400000", "> 86400000"),
        ("FROM 15 FOR", "FROM 14 FOR"),
        ("FROM 1 FOR 8", "FROM 1 FOR 7"),
        (r"COALESCE\(watch_ms, 0\)", "0"),
        (r"'0'\) ELSE ''", "'0') ELSE '0'"),
        ("WHEN event_type = 'view_end' THEN 1", "WHEN event_type = 'view_end' THEN 0"),
        (r"impression_id, '\|', video_id", "impression_id, '|'"),
        (r"LPAD\(CAST\(`time`", "LPAD(CAST(`received_at`"),
    ],
)
def test_whatever_is_spoilt_in_the_text_is_found(of, instead):
    events = stream(0, events=2_000, people=4)
    changed = []

    def spoil(text):
        spoilt, times = re.subn(of, instead, text)
        changed.append(times)
        return spoilt

    engine = judged(events, spoil)
    assert sum(changed) > 0
    try:
        found = by_engine(engine)
    except duckdb.Error:
        return
    assert found != by_oracle(events)


def test_words_on_relations_are_those_that_saved_states_hold():
    """Where a job goes on from a savepoint, a word of today must sort among those of yesterday."""
    like = {"event_id": "e1", "app_id": "demo", "event_type": "like", "user_key": "uk_ann", "video_id": "v1"}
    engine = judged([like | {"event_time": 1_800_000_000_000, "received_at": 1_800_000_000_000}])
    assert rows_of(engine, "SELECT word FROM worded") == [{"word": "01800000000000e1+"}]


def test_the_columns_are_those_of_the_contract():
    assert set(TOLD) <= set(field_names("clean"))
