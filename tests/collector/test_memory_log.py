import asyncio

import pytest

from foryou.collector.producer import LogRecord, LogUnavailable, MemoryLog

from .log_suite import *  # noqa: F403 - the suite's tests run here against the log in memory
from .log_suite import LogBench


@pytest.fixture
def log_bench():
    log = MemoryLog()

    def break_down():
        log.up = False

    def read(topic):
        return [(record.key, record.value) for record in log.of(topic)]

    return LogBench(log, "events.action.v1", "events.context.v1", read, break_down, asyncio.run)


def test_fail_next_takes_nothing_and_then_recovers():
    log = MemoryLog()
    record = LogRecord("events.action.v1", "k", b"v")
    log.fail_next(2)
    for _ in range(2):
        with pytest.raises(LogUnavailable):
            asyncio.run(log.append([record]))

    asyncio.run(log.append([record]))
    assert log.records == [record]
