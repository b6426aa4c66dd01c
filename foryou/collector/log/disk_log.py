"""The log on disk: what `append` returned for has been synced.

One write at a time, in the loop of whoever appends: what comes meanwhile goes with the next one, so that posts share a
sync. Full is an answer; any other failure of the disk ends the process, because after a failed sync nobody can say what
the disk has (the next sync would succeed and mean nothing).
"""

import asyncio
import errno
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from foryou.collector.log.disk import Disk, best_disk
from foryou.collector.log.event_log import MAX_FRAME_BYTES, NO_ROOM, LogRecord, LogUnavailable, encode
from foryou.collector.log.frames import Bad, Frame, frame, scan
from foryou.collector.log.segments import Segment, bytes_in, lock, new_segment, segments, set_aside
from foryou.service.metrics import Metrics

log = logging.getLogger(__name__)

SEGMENT_BYTES = 16 << 20
QUOTA_BYTES = 4 << 30
ALARM = 0.8
GAP_S = 0.001  # between two syncs: one costs as much processor as four posts, and what comes meanwhile shares the next
MANY = 16  # posts that wait are company enough
LOOK_S = 0.5  # how often the folder is measured: the forwarder deletes in it
MAX_PENDING_BYTES = 32 << 20  # not yet synced: a disk that is so far behind takes no more
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE)  # of bytes or of open files: both may pass
_Pending = tuple[bytes, "asyncio.Future[None]"]


def _end_process(why: str) -> None:
    logging.shutdown()
    os._exit(74)  # EX_IOERR


class DiskLog:
    """Appends to the log in `folder`, which no other writer may have. Raises LogInUse, OSError."""

    def __init__(
        self,
        folder: Path,
        metrics: Metrics,
        *,
        quota_bytes: int = QUOTA_BYTES,
        segment_bytes: int | None = None,
        disk: Disk | None = None,
        end_process: Callable[[str], None] = _end_process,
    ) -> None:
        self._folder, self._quota = folder, quota_bytes
        self._segment_bytes = segment_bytes or min(SEGMENT_BYTES, quota_bytes // 16)  # only whole segments are deleted
        self._disk, self._end_process = disk or best_disk(), end_process
        self._lock = lock(folder, "collector")
        self._counts(metrics)
        self._last = self._mend()
        self._segment: Segment
        self._file, self._at, self._frames = -1, 0, 0
        self._used = bytes_in(folder)
        self._no_room = ""
        self._alarmed = False
        self._pending_bytes = 0
        self._synced_s = 0.0
        self._pending: list[_Pending] = []
        self._writer: asyncio.Task[None] | None = None
        self._rotate()
        self._look()
        self._closing = threading.Event()
        self._looker = threading.Thread(target=self._keep_looking, name="log", daemon=True)
        self._looker.start()

    def waiting_for(self) -> list[str]:
        if self._no_room:
            return [self._no_room]
        if self._used + self._pending_bytes >= self._quota:
            return [NO_ROOM]
        return ["the disk"] if self._pending_bytes > MAX_PENDING_BYTES else []

    def detail(self) -> Mapping[str, Any]:
        filled = self._used / self._quota
        told: dict[str, Any] = {"bytes": self._used, "quota_bytes": self._quota, "filled": round(filled, 4)}
        if filled >= ALARM:
            told["alarm"] = f"the log is {filled:.0%} full: is the forwarder running, and does Kafka answer it?"
        return {"log": told}

    async def append(self, records: Sequence[LogRecord]) -> None:
        lacks = self.waiting_for()
        if lacks:
            raise LogUnavailable(f"waiting for {', '.join(lacks)}")
        payload = encode(records)
        if len(payload) > MAX_FRAME_BYTES:
            raise LogUnavailable(f"a post has more than {MAX_FRAME_BYTES:,} bytes of records")
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        self._pending_bytes += len(payload)
        self._pending.append((payload, waiter))
        if self._writer is None:
            self._writer = loop.create_task(self._write_all())
        await waiter

    def close(self) -> None:
        """Ends it. Nobody may wait for an append any more."""
        self._closing.set()
        self._looker.join()
        self._retire()
        self._disk.close()
        self._lock.close()

    def _counts(self, metrics: Metrics) -> None:
        self._bytes = metrics.gauge("foryou_collector_log_bytes")
        metrics.gauge("foryou_collector_log_quota_bytes").set(self._quota)
        self._alarm = metrics.gauge("foryou_collector_log_alarm")
        self._torn = metrics.counter("foryou_collector_log_torn_total")
        self._syncs = metrics.counter("foryou_collector_log_syncs_total")

    def _mend(self) -> int:
        """Sets a torn end of the last segment aside. Returns the last segment's number, 0 when there is none."""
        there = segments(self._folder)
        if not there:
            return 0
        last = there[-1]
        data = last.path.read_bytes()
        torn = torn_at(data, last.marker)
        if torn is not None:
            kept = set_aside(self._folder, f"{last.path.stem}.{torn}.torn", data[torn:])
            os.truncate(last.path, torn)
            with last.path.open("rb") as file:
                os.fsync(file.fileno())
            self._torn.inc()
            told = {"segment": last.path.name, "offset": torn, "bytes": len(data) - torn, "kept": str(kept)}
            log.warning("the end of the log was torn and is set aside", extra=told)
        return last.number

    async def _write_all(self) -> None:
        """Writes until nothing waits. Without it nobody would ever be answered: whatever ends it ends the process."""
        try:
            while self._pending:
                if time.monotonic() - self._synced_s < GAP_S and len(self._pending) < MANY:
                    await asyncio.sleep(GAP_S)
                batch, self._pending = self._pending, []
                await self._write(batch)
        except asyncio.CancelledError:
            self._retire()  # nobody knows how much of it is there: what comes next goes into a new segment
            raise
        except BaseException as error:
            log.critical("the log's writer failed: the process ends", extra={"error": repr(error)})
            self._end_process(repr(error))
            raise
        finally:
            self._writer = None

    async def _write(self, batch: list[_Pending]) -> None:
        failed = None
        try:
            if self._at >= self._segment_bytes or self._file < 0:
                await asyncio.to_thread(self._rotate)
            frames = [frame(self._segment.marker, self._frames + n, payload) for n, (payload, _) in enumerate(batch)]
            data = b"".join(frames)
            written = await self._disk.write(self._file, data, self._at)
            if written != len(data):
                raise OSError(errno.ENOSPC, "the disk took only a part")
        except OSError as error:
            if error.errno not in _FULL:
                log.critical("the disk failed: the process ends", extra={"error": str(error)})
                self._end_process(str(error))
                return
            log.error("no room on the disk", extra={"error": str(error)})
            # A part may lie there, and may have been read: what comes next goes into a new segment, never over it.
            self._drop_empty()
            self._retire()
            self._no_room = "room on the disk"
            failed = LogUnavailable("the disk is full")
        else:
            self._at += len(data)
            self._used += len(data)
            self._frames += len(batch)
            self._syncs.inc()
            self._synced_s = time.monotonic()
        self._wake(batch, failed)

    def _wake(self, batch: list[_Pending], failed: LogUnavailable | None) -> None:
        for payload, waiter in batch:
            self._pending_bytes -= len(payload)
            if waiter.done():
                continue
            if failed is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(LogUnavailable(*failed.args))  # one each: a traceback grows with every raise

    def _rotate(self) -> None:
        """Begins a new segment; the one before is complete."""
        segment = new_segment(self._folder, self._last)
        self._last = segment.number  # even if it cannot be made: a number is never given twice
        file = self._disk.create(segment.path)
        self._retire()
        self._segment, self._file, self._at, self._frames = segment, file, 0, 0

    def _retire(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def _drop_empty(self) -> None:
        """A disk that stays full would be tried twice a second, and leave a file each time."""
        if self._file >= 0 and os.fstat(self._file).st_size == 0:
            self._segment.path.unlink(missing_ok=True)

    def _keep_looking(self) -> None:
        while not self._closing.wait(LOOK_S):
            self._look()

    def _look(self) -> None:
        """Measures the folder, and lets a full disk be tried again."""
        try:
            self._used = bytes_in(self._folder)
        except OSError as error:
            log.warning("the log's folder cannot be measured", extra={"error": str(error)})
        self._no_room = ""
        self._bytes.set(self._used)
        alarmed = self._used >= ALARM * self._quota
        self._alarm.set(alarmed)
        if alarmed and not self._alarmed:
            log.warning("the log fills up", extra={"bytes": self._used, "quota_bytes": self._quota})
        self._alarmed = alarmed


def torn_at(data: bytes, marker: bytes) -> int | None:
    """Where the frames of a segment end, when something that is no frame follows; None when nothing does."""
    found: list[Frame | Bad] = scan(data, marker, ended=True).found
    return found[-1].at if found and isinstance(found[-1], Bad) else None
