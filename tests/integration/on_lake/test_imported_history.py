"""A simulated past through `foryou import` into bronze and silver: all of it, once, with its own receive times."""

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F

from foryou.contract.identity import Identity
from foryou.contract.lateness import LATENESS_BOUND_MS
from foryou.lake import bronze, days, silver
from foryou.lake.clean import Silver, clean
from foryou.lake.history import Order, import_history
from foryou.lake.sources import source
from foryou.lake.tables import Lake
from foryou.simulator.history import Plan, write_history

UNTIL = 1_795_219_200_000
IDENTITY = Identity(b"s" * 32)
pytestmark = pytest.mark.timeout(600)


def test_history_arrives_whole_and_once_and_its_bots_are_flagged(spark, tmp_path):
    history = write_history(tmp_path / "past", Plan(UNTIL, weeks=2 / 7, people=40, videos=8_000))
    lake = Lake(tmp_path / "lake")
    events = sorted(history.folder.glob("events-*.parquet"))
    for files in ([history.folder / "videos.parquet", history.folder / "people.parquet"], events, events):
        order = Order(tuple(source(path, None) for path in files), "demo", clock_ms=UNTIL)
        import_history(lake, IDENTITY, order)
    bronze.ensure(spark, lake)
    assert len(bronze.from_inbox(spark, lake)) == 2
    silver.refine(spark, lake)

    past = pa.concat_tables(pq.read_table(path, columns=["event_id", "event_time", "received_at"]) for path in events)
    told = spark.read.format("delta").load(lake.events)
    people = pq.read_table(history.folder / "people.parquet")
    follows = len(people) - 40
    assert told.count() == len(pc.unique(past["event_id"])) + follows
    assert spark.read.format("delta").load(lake.content).count() == 8_000
    assert spark.read.format("delta").load(lake.account).count() == 40
    assert spark.read.format("delta").load(lake.unreadable).count() == 0
    late = past.filter(pc.greater(pc.subtract(past["received_at"], past["event_time"]), LATENESS_BOUND_MS))
    assert told.where("late").count() == len(pc.unique(late["event_id"]))
    received = told.agg(F.min("received_at"), F.max("received_at")).first()
    assert UNTIL - 3 * 86_400_000 < received[0] <= received[1] < UNTIL

    rows = clean(Silver.of(spark, lake, days.marked(lake.dirty)))
    flagged = {row["user_key"] for row in rows.where("flagged").select("user_key").distinct().collect()}
    assert flagged == {IDENTITY.user_key("demo", bot) for bot in history.bots}
    of_videos = rows.where("event_type = 'view_end'")
    assert of_videos.where("category IS NULL").count() == 0
