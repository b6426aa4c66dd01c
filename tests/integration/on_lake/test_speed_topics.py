"""What parity reads of a real Kafka: the newest of each tile, parts together, nothing the batch layer published."""

import json
import os
import subprocess
import time
from datetime import date, timedelta

import pytest
from confluent_kafka import Producer

from foryou.contract.codec import Encoder
from foryou.contract.schemas import schema
from foryou.features.compilers.avro import tile_schema
from foryou.features.cutoff import marker
from foryou.features.definitions import VIEWS
from foryou.features.operations import Collect, Latest
from foryou.lake import days
from foryou.lake.bronze import save_schema
from foryou.lake.speed_topics import days_held, read
from foryou.lake.tables import Lake
from foryou.local import temporary
from foryou.local.home import Home
from foryou.local.jdk import find_jdk
from foryou.local.kafka import kafka_part
from foryou.local.stack import JARS
from foryou.service.settings import Settings

from ..lanes import until

VIEW = VIEWS["video_history_v1"]
TODAY = days.day_of(time.time_ns() // 1_000_000)
START = days.start_of(TODAY)
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def kafka(tmp_path_factory):
    """A broker alone, with our topics."""
    home = Home(tmp_path_factory.mktemp("kafka"))
    settings = Settings.load({"FORYOU_HOME": str(home.root), "FORYOU_PORT_OFFSET": "2300"})
    part = kafka_part(settings, home, find_jdk(os.environ), JARS)
    for folder in (home.logs, home.kafka):
        folder.mkdir(parents=True, exist_ok=True)
    temporary.emptied(home, "kafka")
    part.prepare()
    with part.console.open("ab") as console:
        broker = subprocess.Popen(part.argv, cwd=part.cwd, stdout=console, stderr=subprocess.STDOUT)
    try:
        until("Kafka answers", lambda: part.check() is None, within_s=60)
        part.settle()
        yield settings.kafka
    finally:
        broker.terminate()
        broker.wait()


@pytest.fixture(scope="module")
def encode(tmp_path_factory):
    """The lake, with its schemas, and an encoder by the name of a schema."""
    lake = Lake(tmp_path_factory.mktemp("lake"))
    encoders = {}
    for number, (name, avro) in enumerate(
        {"clean": schema("clean"), "apart": schema("apart"), "tile": tile_schema(VIEW)}.items(), 1
    ):
        save_schema(lake.schemas, number, json.dumps(avro))
        encoders[name] = Encoder(avro, number)
    return lake, encoders


def tile(salt, epoch, n, plays, video="v1"):
    zeros = {m.name: None if isinstance(m.op, Latest | Collect) else 0 for m in VIEW.measures}
    row = {"app_id": "demo", "video_id": video, "salt": salt, "tile_ms": days.DAY_MS, "tile_start": START}
    row |= zeros | {"epoch": epoch, "n": n, "first_ms": START + salt, "last_ms": START + n, "plays": plays}
    key = "|".join(str(row[name]) for name in VIEW.key_columns)
    return key, row


def verdict(of, offset, **fields):
    row = dict.fromkeys(field["name"] for field in schema(of)["fields"])
    row |= {"app_id": "demo", "event_id": f"e{offset}", "event_type": "play_start", "user_key": "uk_ann"}
    row |= {"event_time": START, "received_at": START, "source_partition": 0, "source_offset": offset, "properties": {}}
    return row | ({"time": START} if of == "clean" else {}) | fields


def test_it_reads_what_the_speed_layer_said(spark, kafka, encode):
    lake, encoders = encode
    producer = Producer({"bootstrap.servers": kafka})
    tiles = [tile(0, 1, 9, 9), tile(0, 2, 3, 3), tile(0, 2, 5, 5), tile(0, 2, 4, 4)]  # the last one is a replay
    tiles += [tile(1, 2, 2, 2), tile(-1, 99, 7, 7), marker(VIEW, 0, 1, START), tile(0, 2, 1, 1, "v2")]
    for key, row in tiles:
        producer.produce(VIEW.topic, encoders["tile"](row), key, 0)
    producer.produce(VIEW.topic, None, "demo|v3|0|86400000|0", 0)  # a tombstone
    producer.produce(VIEW.topic, b"no Avro", "?", 0)
    for offset in (0, 1):
        producer.produce("events.clean.v1", encoders["clean"](verdict("clean", offset)), "demo|uk_ann", 0)
    for name, offset in (("duplicate", 2), ("late", 3)):
        producer.produce(f"events.{name}.v1", encoders["apart"](verdict("apart", offset)), "demo|uk_ann", 0)
    assert producer.flush(20) == 0

    speed, kept = read(spark, lake, list(VIEWS.values()), TODAY, kafka, "http://127.0.0.1:9/none")
    found = {row["video_id"]: row.asDict() for row in speed.tiles[VIEW.full_name].collect()}
    assert set(found) == {"v1", "v2"}
    told = {name: found["v1"][name] for name in ("n", "plays", "first_ms", "last_ms")}
    assert told == {"n": 7, "plays": 7, "first_ms": START, "last_ms": START + 5}
    assert [row["source_offset"] for row in speed.clean.orderBy("judged_offset").collect()] == [0, 1]
    apart = {row["verdict"]: row["source_offset"] for row in speed.apart.collect()}
    assert apart == {"duplicate": 2, "late": 3}
    assert all(tiles.isEmpty() for name, tiles in speed.tiles.items() if name != VIEW.full_name)
    assert speed.clean.where("judged_at IS NULL").isEmpty()
    for table in kept:
        table.unpersist()


def test_days_count_while_their_verdicts_are_all_there(kafka):
    assert days_held(kafka, days.span(TODAY - timedelta(days=2), TODAY)) == days.span(TODAY - timedelta(days=2), TODAY)
    assert days_held(kafka, [date(2020, 1, 1)]) == [date(2020, 1, 1)]  # nothing was ever dropped
