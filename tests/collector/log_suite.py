"""What every EventLog promises. Its test module brings the fixture `log_bench`: the log, and a way to read it back."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from foryou.collector.log.event_log import MAX_FRAME_BYTES, EventLog, LogRecord, LogUnavailable

TOPIC, OTHER = "events.action.v1", "events.context.v1"


@dataclass
class LogBench:
    """A log that is up, `read(topic)` for (key, record) pairs, `fill_up()` to leave it without room."""

    log: EventLog
    read: Callable[[str], list[tuple[str, dict]]]
    fill_up: Callable[[], None]
    run: Callable


def record(number: int, topic: str = TOPIC) -> LogRecord:
    return LogRecord(topic, f"demo|uk_{number % 7}", {"n": number, "text": "ü", "none": None, "bytes": b"\xff"})


def test_what_append_returned_for_can_be_read(log_bench):
    log_bench.run(log_bench.log.append([record(1), record(2, OTHER)]))

    assert log_bench.read(TOPIC) == [("demo|uk_1", {"n": 1, "text": "ü", "none": None, "bytes": b"\xff"})]
    assert [key for key, _ in log_bench.read(OTHER)] == ["demo|uk_2"]


def test_one_key_keeps_its_order(log_bench):
    log_bench.run(log_bench.log.append([record(7 * number) for number in range(200)]))

    assert [row["n"] for _, row in log_bench.read(TOPIC)] == [7 * number for number in range(200)]


def test_appends_in_a_row_keep_their_order(log_bench):
    async def many():
        await asyncio.gather(*(log_bench.log.append([record(number)]) for number in range(200)))

    log_bench.run(many())
    assert [row["n"] for _, row in log_bench.read(TOPIC)] == list(range(200))


def test_appends_at_the_same_time_are_each_whole(log_bench):
    async def many():
        await asyncio.gather(*(log_bench.log.append([record(10 * a + b) for b in range(10)]) for a in range(50)))

    log_bench.run(many())
    assert sorted(row["n"] for _, row in log_bench.read(TOPIC)) == list(range(500))


def test_a_post_too_large_is_refused_and_the_log_goes_on(log_bench):
    with pytest.raises(LogUnavailable):
        log_bench.run(log_bench.log.append([LogRecord(TOPIC, "demo|k", {"body": b"x" * (MAX_FRAME_BYTES + 1)})]))

    log_bench.run(log_bench.log.append([record(1)]))
    assert [row["n"] for _, row in log_bench.read(TOPIC)] == [1]


def test_a_log_that_is_up_waits_for_nothing(log_bench):
    assert log_bench.log.waiting_for() == []


def test_a_log_without_room_refuses_and_says_so(log_bench):
    log_bench.fill_up()

    with pytest.raises(LogUnavailable):
        log_bench.run(log_bench.log.append([record(1)]))
    assert log_bench.log.waiting_for() == ["room in the log"]
    assert log_bench.read(TOPIC) == []
