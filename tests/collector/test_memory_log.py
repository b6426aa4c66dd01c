import asyncio

import pytest

from foryou.collector.log.event_log import LogUnavailable, MemoryLog

from .log_suite import *  # noqa: F403 - the suite's tests run here against the log in memory
from .log_suite import LogBench, record


@pytest.fixture
def log_bench():
    log = MemoryLog()

    def fill_up():
        log.up = False

    return LogBench(log, lambda topic: [(row.key, row.record) for row in log.of(topic)], fill_up, asyncio.run)


def test_fail_next_takes_nothing_and_then_recovers():
    log = MemoryLog()
    log.fail_next(2)
    for _ in range(2):
        with pytest.raises(LogUnavailable):
            asyncio.run(log.append([record(1)]))

    asyncio.run(log.append([record(1)]))
    assert log.records == [record(1)]
