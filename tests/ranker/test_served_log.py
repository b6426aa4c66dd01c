"""The served log never makes a feed wait or fail, and what it loses it counts."""

import time

import httpx
import pytest

from foryou.contract.codec import Encoder
from foryou.contract.schemas import schema
from foryou.ranker.pipeline import rank
from foryou.ranker.side_effects.served_log import KafkaServedLog, Record
from foryou.ranker.side_effects.served_record import served_record
from foryou.ranker.testing import published, query_of, small_world
from foryou.service.metrics import Metrics

NOWHERE = "127.0.0.1:1"
LOST = "foryou_ranker_served_log_errors_total"


@pytest.fixture
def record() -> Record:
    query = query_of(small_world([published("v1")]))
    return served_record(query, rank(query), None)


def encoder() -> Encoder:
    return Encoder(schema("served"), 1)


def test_while_kafka_is_away_feeds_are_taken_at_once_and_counted_when_the_process_ends(record):
    metrics = Metrics()
    log = KafkaServedLog(NOWHERE, encoder, metrics)
    log.start()
    started = time.monotonic()
    for _ in range(100):
        log.put(record)
    assert time.monotonic() - started < 2.0
    assert metrics.value(LOST) == 0
    log.stop()
    assert metrics.value(LOST) == 100
    assert time.monotonic() - started < 5


def test_feeds_beyond_the_room_are_counted_not_waited_for(record):
    metrics = Metrics()
    log = KafkaServedLog(NOWHERE, encoder, metrics, most=3)
    for _ in range(5):
        log.put(record)
    assert metrics.value(LOST) == 2


def test_a_registry_that_comes_late_is_waited_for(record):
    asked = []

    def late() -> Encoder:
        asked.append(1)
        if len(asked) == 1:
            raise httpx.ConnectError("not yet")
        return encoder()

    log = KafkaServedLog(NOWHERE, late, Metrics())
    log.start()
    deadline = time.monotonic() + 5
    while len(asked) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    log.stop()
    assert len(asked) == 2


def test_a_feed_that_does_not_fit_its_schema_is_counted_and_the_next_one_goes_on(record):
    metrics = Metrics()
    log = KafkaServedLog(NOWHERE, encoder, metrics)
    log.start()
    log.put(record | {"served_at": "yesterday"})
    deadline = time.monotonic() + 5
    while metrics.value(LOST) < 1 and time.monotonic() < deadline:
        time.sleep(0.02)
    log.put(record)
    assert metrics.value(LOST) == 1
    log.stop()
