"""Who lives elsewhere, on a broker of its own: other topics, another address, and a cluster that is not there."""

import json
import time
import uuid
from datetime import UTC, datetime

import httpx
import pytest
from confluent_kafka import Consumer, TopicPartition

from bench.intake_parts import Intake
from foryou.cli import ledger
from foryou.contract.codec import Decoder
from foryou.contract.events import Lane
from foryou.contract.schemas import schema
from foryou.contract.topics import elsewhere
from foryou.local.kafka import make_topics
from foryou.service.settings import PORTS, Settings

from .lanes import until

TAPS = Lane.ACTION.value
DECODE = Decoder(lambda _: schema("event"))
AWAY = {"near": [], "far": [], "gone": ["kafka"]}
LIVES = {"US": TAPS, "DE": f"{TAPS}.near", "FR": f"{TAPS}.far", "JP": None}


class Divided(Intake):
    """A broker, a collector and a forwarder, and people in four countries."""

    def __init__(self, home):
        ports = {name: port + 3_300 for name, port in PORTS.items()}
        super().__init__(Settings(home=home, ports=ports))
        self.said("JP", "gone")
        self.start_kafka()
        make_topics(self.settings.kafka, elsewhere(".far"))  # of another cluster the operator makes them

    def said(self, region, residence):
        text = f'[residency]\nregions = {{DE = "near", FR = "far", {region} = "{residence}"}}\n'
        text += f'[residency.to.near]\nsuffix = ".near"\n[residency.to.gone]\nkafka = "127.0.0.1:1"\n'  # noqa: F541
        text += f'[residency.to.far]\nkafka = "localhost:{self.settings.ports["kafka"]}"\nsuffix = ".far"\n'
        (self.settings.home / "gate.toml").write_text(text)

    def post(self, region, count):
        now = time.time_ns() // 1_000_000
        events = [
            {"event_type": "like", "event_id": str(uuid.uuid4()), "user_id": f"u{number % 7}", "video_id": "v",
             "event_time": now, "context": {"region": region}}
            for number in range(count)
        ]  # fmt: skip
        answer = self.send(events)
        assert answer.status_code == 202, answer.text
        return [event["event_id"] for event in events]

    def send(self, body):
        headers = {"authorization": f"Bearer {self.key}"}
        return httpx.post(f"{self.settings.url('collector')}/v1/events", content=json.dumps(body), headers=headers)

    def values(self, topic):
        consumer = Consumer({"bootstrap.servers": self.settings.kafka, "group.id": "try", "enable.auto.commit": False})
        try:
            parts = sorted(consumer.list_topics(topic, 10).topics[topic].partitions)
            ends = {part: consumer.get_watermark_offsets(TopicPartition(topic, part), 10)[1] for part in parts}
            consumer.assign([TopicPartition(topic, part, 0) for part in parts])
            found = []
            while len(found) < sum(ends.values()):
                message = consumer.poll(10)
                assert message is not None and message.error() is None
                found.append(message.value())
            return found
        finally:
            consumer.close()

    def ids(self, topic=TAPS):
        return [DECODE(value)["event_id"] for value in self.values(topic)]

    def restart(self):
        self.forwarder.stop()
        self.forwarder.start()


@pytest.fixture(scope="module")
def divided(tmp_path_factory):
    intake = Divided(tmp_path_factory.mktemp("divided") / "home")
    try:
        intake.collector.start()
        intake.forwarder.start()
        yield intake
    finally:
        intake.stop()


def test_each_event_is_where_its_person_lives_and_a_dead_cluster_holds_up_nobody(divided):
    posted = {region: divided.post(region, 100) for region in LIVES}
    assert divided.send({"event_type": "nonsense", "event_time": 1}).status_code == 422
    for region, topic in LIVES.items():
        if topic is not None:
            until(f"those of {region}", lambda topic=topic: len(divided.ids(topic)) >= 100)
            assert sorted(divided.ids(topic)) == sorted(posted[region])
    assert len(divided.values("events.rejected.v1")) == 1  # a letter says no region: it goes home

    until("the forwarder is well, and says what is away", lambda: health(divided) == (200, AWAY))
    until("the collector says so", lambda: "kafka of gone" in collector_health(divided)["waiting_for"])

    notes, today = [], datetime.now(UTC).date()
    lines = ledger._elsewhere(divided.settings, today, notes)
    counted = {name: sum(line.right.get(name, 0) for line in lines) for name in ("in near", "in far")}
    assert counted == {"in near": 100, "in far": 100}
    assert notes == ["What lives in gone is not counted: Kafka at 127.0.0.1:1: it does not answer"]

    # Its events wait in the log; once they live where somebody answers, all of them get there.
    divided.said("JP", "near")
    divided.restart()
    until("those of JP", lambda: set(posted["JP"]) <= set(divided.ids(f"{TAPS}.near")))
    assert not set(posted["JP"]) & set(divided.ids())


def health(divided):
    answer = httpx.get(f"{divided.settings.url('forwarder')}/healthz")
    return answer.status_code, answer.json()["residences"]


def collector_health(divided):
    return httpx.get(f"{divided.settings.url('collector')}/healthz").json()


def test_a_setting_that_names_no_place_ends_the_forwarder_with_a_remedy(divided):
    divided.said("JP", "atlantis")
    divided.forwarder.stop()
    with pytest.raises(RuntimeError):
        divided.forwarder.start()
    told = divided.forwarder.console.read_text("utf-8").splitlines()[-1]
    assert "regions.JP lives in 'atlantis', and there is no [residency.to.atlantis]: add it" in told
    assert "gate.toml" in told
