"""The calls to the disk that can fail, and how the loop waits for them."""

import asyncio
import contextlib
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import caio

from foryou.collector.log.segments import sync_folder

log = logging.getLogger(__name__)


class Disk:
    """Writes in a thread, which costs two switches each. Tests bring one that fails."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "disk")

    def create(self, path: Path) -> int:
        """A new, empty file, whose name is durable, and so is whatever is written to it."""
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_DSYNC, 0o600)
        sync_folder(path.parent)
        return file

    async def write(self, file: int, data: bytes, at: int) -> int:
        """Writes to a file that `create` has opened. Returns how many bytes are durable. Raises OSError."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, os.pwrite, file, data, at)

    def close(self) -> None:
        """Waits for what is under way."""
        self._thread.shutdown()


class RingDisk(Disk):
    """Leaves writing to the kernel (io_uring): no thread of ours takes the interpreter from the loop."""

    def __init__(self) -> None:
        super().__init__()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ring: Any = None

    async def write(self, file: int, data: bytes, at: int) -> int:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._ring = loop, caio.linux_uring.Context()
            loop.add_reader(self._ring.fileno, self._done)
        done, operation = loop.create_future(), caio.linux_uring.Operation.write(data, file, at)
        operation.set_callback(lambda _: None if done.done() else done.set_result(None))
        self._ring.submit(operation)
        self._ring.flush()
        await done
        if operation.error:
            raise OSError(operation.error, os.strerror(operation.error))
        return int(operation.result)

    def _done(self) -> None:
        with contextlib.suppress(BlockingIOError):  # another look was faster
            self._ring.poll()
        while self._ring.process_events():
            pass


def best_disk() -> Disk:
    """The ring where the kernel gives us one; many containers do not."""
    try:
        if caio.linux_uring is not None:
            caio.linux_uring.Context()
            return RingDisk()
    except (OSError, SystemError) as error:  # no memory may be locked, on old kernels
        log.warning("no io_uring: a thread writes the log", extra={"error": str(error)})
    return Disk()
