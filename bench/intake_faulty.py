"""The collector with a disk that fails when told, or as a build that is broken on purpose.

The drill runs it as `python -m bench.intake_faulty`, and writes what shall happen into the file `fault` of FORYOU_HOME:
ENOSPC or EIO. FORYOU_DRILL_BREAK=early makes a collector that acknowledges what it has not written yet: the checker
must find what that loses.
"""

import errno
import os
from pathlib import Path

from foryou.collector import __main__ as collector
from foryou.collector.log import disk_log
from foryou.collector.log.disk import Disk, best_disk

LATER_BYTES = 20_000


class FaultyDisk(Disk):
    """Fails while the file says so; else it is the disk that a collector here would have."""

    def __init__(self) -> None:
        super().__init__()
        self._real = best_disk()
        self._fault = Path(os.environ["FORYOU_HOME"]) / "fault"

    async def write(self, file: int, data: bytes, at: int) -> int:
        try:
            said = self._fault.read_text("ascii").strip()
        except FileNotFoundError:
            return await self._real.write(file, data, at)
        number = getattr(errno, said)
        os.pwrite(file, data[: len(data) // 2], at)  # a part of it got there, as it may
        raise OSError(number, os.strerror(number))


class EarlyDisk(Disk):
    """The broken build: it says that it has what it keeps in memory."""

    def __init__(self) -> None:
        super().__init__()
        self._kept = b""

    async def write(self, file: int, data: bytes, at: int) -> int:
        self._kept += data
        if len(self._kept) > LATER_BYTES:
            await super().write(file, self._kept, at + len(data) - len(self._kept))
            self._kept = b""
        return len(data)


if __name__ == "__main__":
    disk_log.best_disk = EarlyDisk if os.environ.get("FORYOU_DRILL_BREAK") == "early" else FaultyDisk  # type: ignore[attr-defined]
    collector.main()
