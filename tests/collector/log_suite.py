"""What every EventLog promises. Its test module brings the fixture `log_bench`: the log, and a way to read it back."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from foryou.collector.producer import EventLog, LogRecord, LogUnavailable


@dataclass
class LogBench:
    """A log that is up, two of its topics, `read(topic)` for (key, value) pairs, `break_down()` to make it fail."""

    log: EventLog
    topic: str
    other: str
    read: Callable[[str], list[tuple[str, bytes]]]
    break_down: Callable[[], None]
    run: Callable


def _record(number: int, topic: str) -> LogRecord:
    return LogRecord(topic, f"demo|uk_{number % 7}", b"%d" % number)


def test_what_append_returned_for_can_be_read(log_bench):
    log_bench.run(log_bench.log.append([_record(1, log_bench.topic), _record(2, log_bench.other)]))

    assert log_bench.read(log_bench.topic) == [("demo|uk_1", b"1")]
    assert log_bench.read(log_bench.other) == [("demo|uk_2", b"2")]


def test_one_key_keeps_its_order(log_bench):
    log_bench.run(log_bench.log.append([_record(7 * number, log_bench.topic) for number in range(200)]))

    assert [value for _, value in log_bench.read(log_bench.topic)] == [b"%d" % (7 * number) for number in range(200)]


def test_appends_at_the_same_time_are_each_whole(log_bench):
    async def many():
        await asyncio.gather(
            *(log_bench.log.append([_record(10 * a + b, log_bench.topic) for b in range(10)]) for a in range(50))
        )

    log_bench.run(many())
    assert sorted(int(value) for _, value in log_bench.read(log_bench.topic)) == list(range(500))


def test_a_record_too_large_is_refused_and_the_log_goes_on(log_bench):
    with pytest.raises(LogUnavailable):
        log_bench.run(log_bench.log.append([LogRecord(log_bench.topic, "demo|k", b"x" * (3 << 20))]))

    log_bench.run(log_bench.log.append([_record(1, log_bench.topic)]))
    assert log_bench.read(log_bench.topic) == [("demo|uk_1", b"1")]


def test_a_log_that_is_up_waits_for_nothing(log_bench):
    assert log_bench.log.waiting_for() == []


def test_a_log_that_is_down_refuses_and_says_so(log_bench):
    log_bench.break_down()

    with pytest.raises(LogUnavailable):
        log_bench.run(log_bench.log.append([_record(1, log_bench.topic)]))
    assert log_bench.log.waiting_for() == ["kafka"]
    assert log_bench.read(log_bench.topic) == []
