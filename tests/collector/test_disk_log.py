"""The log on disk keeps the promises that MemoryLog makes, and those that only a disk can break."""

import asyncio
import errno
import fcntl
import os
import time

import caio
import pytest

from foryou.collector.log import event_log
from foryou.collector.log.disk import Disk, RingDisk
from foryou.collector.log.disk_log import MANY, QUOTA_BYTES, DiskLog
from foryou.collector.log.event_log import LogUnavailable
from foryou.collector.log.frames import Frame
from foryou.collector.log.segments import ASIDE, LogInUse, Position, segments
from foryou.collector.log.tail import Tail
from foryou.service.metrics import Metrics

from .log_suite import *  # noqa: F403 - the suite's tests run here against the log on disk
from .log_suite import LogBench, record


class FailingDisk(Disk):
    """Takes `good` writes, then fails with `number` as long as `broken`; `part`: bytes that it writes nevertheless."""

    def __init__(self, good, number, part=0):
        super().__init__()
        self.good, self.number, self.part, self.broken = good, number, part, True

    async def write(self, file, data, at):
        if self.good or not self.broken:
            self.good -= self.good > 0
            return await super().write(file, data, at)
        os.pwrite(file, data[: self.part], at)
        raise OSError(self.number, os.strerror(self.number))


class TimedDisk(Disk):
    """Notes when each write began and ended, and how many bytes it had."""

    def __init__(self):
        super().__init__()
        self.spans = []

    async def write(self, file, data, at):
        begin = time.monotonic()
        written = await super().write(file, data, at)
        self.spans.append((begin, time.monotonic(), written))
        return written


def read_all(folder, position=None):
    """Every record that a reader finds."""
    tail = Tail(folder, position or Position())
    found = []
    while (piece := tail.read()) is not None:
        for item in piece.found:
            if isinstance(item, Frame):
                found.extend(event_log.decode(item.payload))
    tail.close()
    return found


def numbers(folder):
    return [row.record["n"] for row in read_all(folder)]


@pytest.fixture(params=[Disk, RingDisk])
def opened(tmp_path, request):
    """Opens logs in one folder, on either way to the disk; closes what a test leaves open."""
    if request.param is RingDisk and caio.linux_uring is None:
        pytest.skip("this kernel gives us no ring")
    logs = []

    def open_log(**changes):
        log = DiskLog(tmp_path, Metrics(), **{"disk": request.param()} | changes)
        logs.append(log)
        return log

    yield open_log
    for log in logs:
        if not log._closing.is_set():
            log.close()


@pytest.fixture
def log_bench(tmp_path, opened):
    log = opened()

    def fill_up():
        (tmp_path / ASIDE).mkdir()
        with (tmp_path / ASIDE / "what people left there").open("wb") as file:
            file.truncate(QUOTA_BYTES)
        eventually(log.waiting_for)

    def read(topic):
        return [(row.key, row.record) for row in read_all(tmp_path) if row.topic == topic]

    with asyncio.Runner() as runner:
        yield LogBench(log, read, fill_up, runner.run)


def eventually(holds):
    until = time.monotonic() + 5
    while not holds() and time.monotonic() < until:
        time.sleep(0.05)


def append(log, *sent):
    async def all_of_them():
        for number in sent:
            await log.append([record(number)])

    asyncio.run(all_of_them())


def test_what_was_acknowledged_survives_a_new_start(tmp_path, opened):
    for start in range(3):
        log = opened()
        append(log, 2 * start, 2 * start + 1)
        log.close()

    assert numbers(tmp_path) == list(range(6))


def test_segments_are_bounded_and_read_in_order(tmp_path, opened):
    log = opened(segment_bytes=500)
    append(log, *range(50))

    assert len(segments(tmp_path)) > 5
    assert all(each.path.stat().st_size < 1_000 for each in segments(tmp_path))
    assert numbers(tmp_path) == list(range(50))


def test_a_second_collector_is_told_in_a_sentence_who_has_the_log(opened):
    opened()

    with pytest.raises(LogInUse, match=rf"Another collector \(process {os.getpid()}\) has the log"):
        opened()


def test_a_torn_end_is_set_aside_and_counted_and_the_log_goes_on(tmp_path, opened):
    log = opened()
    append(log, 1, 2, 3)
    log.close()
    last = segments(tmp_path)[-1].path
    whole = last.read_bytes()
    last.write_bytes(whole[:-5])

    log = opened()
    append(log, 4)
    assert numbers(tmp_path) == [1, 2, 4]
    assert [path.suffix for path in (tmp_path / ASIDE).iterdir()] == [".torn"]
    assert log._torn._value.get() == 1


@pytest.mark.parametrize("number", [errno.EIO, errno.EROFS, errno.EBADF])
def test_a_failed_sync_ends_the_process_and_acknowledges_nothing(opened, number):
    said = []
    log = opened(disk=FailingDisk(1, number), end_process=said.append)
    append(log, 1)

    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(log.append([record(2)]), 0.2))
    assert len(said) == 1


@pytest.mark.parametrize("part", [0, 1, 30, 90])
def test_a_full_disk_is_a_refusal_and_nothing_is_written_over_what_a_reader_may_have_seen(tmp_path, opened, part):
    disk = FailingDisk(2, errno.ENOSPC, part)
    log = opened(disk=disk)
    append(log, 1, 2)
    first = segments(tmp_path)[0].path
    with pytest.raises(LogUnavailable):
        append(log, 3)
    assert log.waiting_for() == ["room on the disk"]
    seen = first.read_bytes()

    disk.broken = False
    eventually(lambda: not log.waiting_for())
    append(log, 4)
    assert first.read_bytes() == seen
    assert [n for n in numbers(tmp_path) if n != 3] == [1, 2, 4]


def test_the_quota_bounds_the_log_and_room_that_is_made_is_used(tmp_path, opened):
    log = opened(quota_bytes=3_000, segment_bytes=1_000)
    taken = 0
    with pytest.raises(LogUnavailable):
        for taken in range(100):
            append(log, taken)
    assert sum(each.path.stat().st_size for each in segments(tmp_path)) < 3_200
    assert "alarm" in log.detail()["log"]

    segments(tmp_path)[0].path.unlink()
    segments(tmp_path)[0].path.unlink()
    eventually(lambda: not log.waiting_for())
    append(log, 1_000)
    assert numbers(tmp_path)[-1] == 1_000
    assert "alarm" not in log.detail()["log"]


def test_one_who_waits_no_longer_holds_up_nobody(tmp_path, opened):
    log = opened()

    async def some():
        waiting = [asyncio.ensure_future(log.append([record(number)])) for number in range(10)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        return await asyncio.wait_for(asyncio.gather(*waiting[1:]), 5)

    assert asyncio.run(some()) == [None] * 9
    assert numbers(tmp_path) == list(range(10))


def test_many_waiters_share_a_sync(opened):
    log = opened()

    async def many():
        await asyncio.gather(*(log.append([record(number)]) for number in range(500)))

    asyncio.run(many())
    assert log._syncs._value.get() < 100


@pytest.mark.skipif(caio.linux_uring is None, reason="this kernel gives us no ring")
def test_what_the_ring_says_of_a_disk_is_what_a_write_would_raise():
    async def written(path, flags):
        disk, file = RingDisk(), os.open(path, flags)
        try:
            return await disk.write(file, b"abc", 0)
        finally:
            os.close(file)
            disk.close()

    for path, flags, number in (("/dev/full", os.O_WRONLY, errno.ENOSPC), (os.devnull, os.O_RDONLY, errno.EBADF)):
        with pytest.raises(OSError) as failed:
            asyncio.run(written(path, flags))
        assert failed.value.errno == number


@pytest.mark.parametrize("disk", [Disk, RingDisk])
def test_what_is_written_is_synced(tmp_path, disk):
    made = disk()
    file = made.create(tmp_path / "segment")
    assert fcntl.fcntl(file, fcntl.F_GETFL) & os.O_DSYNC, "a write that returns is only in memory"
    os.close(file)
    made.close()


def test_syncs_are_apart_and_what_comes_meanwhile_shares_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr("foryou.collector.log.disk_log.GAP_S", 0.1)
    disk = TimedDisk()
    log = DiskLog(tmp_path, Metrics(), disk=disk)

    async def posts():
        await log.append([record(0)])
        await asyncio.gather(*(log.append([record(n)]) for n in (1, 2)))
        monkeypatch.setattr("foryou.collector.log.disk_log.GAP_S", 60.0)
        enough = asyncio.gather(*(log.append([record(n)]) for n in range(3, 3 + MANY)))
        await asyncio.wait_for(enough, 30)  # worth a sync of its own

    asyncio.run(posts())
    log.close()
    (_, first, _), (second, _, _), _ = disk.spans
    assert second - first >= 0.1
    assert sorted(numbers(tmp_path)) == list(range(3 + MANY))
