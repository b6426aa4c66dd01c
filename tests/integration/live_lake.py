"""A lake as the night leaves it, of events that came by the live door."""

import random
from datetime import date
from types import SimpleNamespace

import pyarrow.parquet as pq

from foryou.contract.events import lane_of
from foryou.features.definitions import VIEWS
from foryou.lake import bronze, silver
from foryou.lake.clean import Silver, clean, overwrite
from foryou.lake.layers import Batch
from foryou.lake.tables import Lake
from foryou.lake.tiles import tiles

from . import generated
from .inbox import lay_down

APP, SEED, COUNT = "night", 11, 2_500
NOW = 1_790_000_000_000  # 2026-09-21 14:13:20
HOUR, DAY = 3_600_000, 86_400_000
WANTED = [date(2026, 9, 19), date(2026, 9, 20), date(2026, 9, 21), date(2026, 9, 22)]


def on_time(seed=SEED, count=COUNT):
    """A stream in which nothing goes wrong but copies: no event is late, no word comes beyond the bound."""
    rng = random.Random(seed)
    for event in generated.actions(APP, seed, count, NOW, people=60, catalogue=40):
        if event["received_at"] - event["event_time"] > 20 * HOUR:
            event = event | {"event_time": event["received_at"] - rng.randrange(HOUR)}
        yield event


def catalogue():
    return generated.videos(APP, 45, NOW - 2 * DAY)


def made(spark, folder, events, content=(), broken=(), views=VIEWS):
    """A lake as the night leaves it, with tiles of some views, and what the collector accepted, with places."""
    lake = Lake(folder / "lake")
    lay_down(lake, "all", [*catalogue(), *content, *events], broken)
    path = lake.inbox / "all" / "part-0.parquet"
    table = pq.read_table(path)
    live = {"origin": "kafka"}
    rows = [row | live | {"topic": row["topic"].split("import.")[1].removesuffix(".all")} for row in table.to_pylist()]
    pq.write_table(table.from_pylist(rows, table.schema), path)  # as if Kafka had brought them
    bronze.from_inbox(spark, lake)
    silver.refine(spark, lake)
    overwrite(clean(Silver.of(spark, lake, WANTED)), lake.clean, WANTED)
    rows = spark.read.format("delta").load(lake.clean)
    for view in views.values():
        overwrite(tiles(view, rows), lake.tiles(view), WANTED)
    return SimpleNamespace(lake=lake, accepted=list(placed(events, content)), batch=batch_of(spark, lake, views))


def batch_of(spark, lake, views=VIEWS):
    return Batch.of(spark, lake, list(views.values()), WANTED)


def placed(events, content=()):
    """With the place in its lane, and what was known of the video."""
    videos = {video["video_id"]: video for video in [*catalogue(), *content]}
    offsets = {}
    for event in events:
        lane = lane_of(event["event_type"])
        offset = offsets[lane] = offsets.get(lane, -1) + 1
        video = videos.get(event["video_id"] or "", {})
        known = {name: video.get(name) for name in ("category", "creator_key")}
        known |= {"video_duration_ms": video.get("duration_ms"), "published_at": video.get("event_time")}
        yield event | known | {"source_partition": 0, "source_offset": offset}
