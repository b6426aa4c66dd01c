"""The store on disk: RocksDB, one process writing, others reading as secondaries.

What a crash can take. The write-ahead log is on and is handed to the kernel with every batch, not synced: kill -9
loses nothing, a machine that dies may lose the newest batches. That is safe for tiles, since a batch holds the Kafka
offsets of what it applied: the writer starts again from the offsets that survived, and merging the same tiles twice
changes nothing. Plain Feast rows have no topic to come back from, so their batches are synced (`durable`) before they
are acknowledged.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from rocksdict import (
    AccessType,
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    DBRecoveryMode,
    Options,
    Rdict,
    WriteBatch,
    WriteOptions,
)

from foryou.store.rows import Batch, end_of

MIB = 1024 * 1024
BLOCK_CACHE_BYTES = 128 * MIB
WRITE_BUFFER_BYTES = 32 * MIB
MAX_WAL_BYTES = 128 * MIB  # bounds the replay at start and the disk


class StoreUnavailableError(Exception):
    """The store cannot be opened now; the text says why and what would help."""


def _options() -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_write_buffer_size(WRITE_BUFFER_BYTES)
    options.set_max_write_buffer_number(3)
    options.set_max_total_wal_size(MAX_WAL_BYTES)
    options.set_max_background_jobs(2)
    options.set_compression_type(DBCompressionType.lz4())
    # A torn tail of the log is cut off at the last whole batch, values and offsets together.
    options.set_wal_recovery_mode(DBRecoveryMode.point_in_time())
    options.set_keep_log_file_num(2)
    options.set_max_log_file_size(4 * MIB)
    table = BlockBasedOptions()
    table.set_block_cache(Cache(BLOCK_CACHE_BYTES))
    table.set_bloom_filter(10, False)
    options.set_block_based_table_factory(table)
    return options


class _Reader:
    """The reading half, the same for both ways to open."""

    _db: Rdict

    def __init__(self) -> None:
        self.exclusive: AbstractContextManager[object] = threading.RLock()

    def get(self, key: bytes) -> bytes | None:
        value: bytes | None = self._db.get(key)
        return value

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        if len(keys) == 1:
            return [self._db.get(keys[0])]
        values: list[bytes | None] = self._db.get(list(keys)) if keys else []
        return values

    def scan(self, prefix: bytes, after: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        end = end_of(prefix)
        start = prefix if after is None else max(prefix, after + b"\x00")
        for key, value in self._db.items(from_key=start):
            if key >= end:
                return
            yield key, value


class RocksRows(_Reader):
    """The primary: RocksDB itself refuses a second process on the same path."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = Rdict(str(path), _options())
        except Exception as error:
            if "lock" in str(error).lower():
                raise StoreUnavailableError(
                    f"{path} is open for writing in another process; only one store process may run on it"
                ) from error
            raise StoreUnavailableError(f"{path} cannot be opened: {error}") from error
        self._durable = WriteOptions()
        self._durable.sync = True

    def write(self, batch: Batch, *, durable: bool = False) -> None:
        changes = WriteBatch(raw_mode=True)
        for prefix in batch.purges:
            changes.delete_range(prefix, end_of(prefix))
        for key, value in batch.puts.items():
            if value is None:
                changes.delete(key)
            else:
                changes.put(key, value)
        if durable:
            self._db.write(changes, self._durable)
        else:
            self._db.write(changes)

    def catch_up(self) -> None:
        """A primary has seen everything."""

    def close(self) -> None:
        self._db.close()


class SecondaryRows(_Reader):
    """A read-only view on a primary's files in another process: after `catch_up`, all that the primary had written.

    So what one reader was shown, every later one knows: who sees a like counted and then asks for a page gets one that
    counts it. The primary may be killed and come back: the next catch-up follows its new manifest, and if that fails,
    opens anew.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._seen: dict[str, int] = {}
        # RocksDB keeps a secondary's own info log there, nothing else.
        self._scratch = Path(tempfile.mkdtemp(prefix="foryou-secondary-"))
        try:
            self._open()
        except StoreUnavailableError:
            shutil.rmtree(self._scratch, ignore_errors=True)
            raise

    def _open(self) -> None:
        options = _options()
        options.create_if_missing(False)
        options.set_max_open_files(-1)  # the primary may delete a file that this process still reads
        try:
            self._db = Rdict(str(self._path), options, access_type=AccessType.secondary(str(self._scratch)))
        except Exception as error:
            raise StoreUnavailableError(
                f"no store to read at {self._path} yet; start it with `python -m foryou.store` ({error})"
            ) from error

    def write(self, batch: Batch, *, durable: bool = False) -> None:
        raise StoreUnavailableError("a secondary only reads; write through the store process (port 6566)")

    def catch_up(self) -> None:
        # A catch-up takes 0.7 ms and more, a look at the logs 0.03: a page reads several views, and most pages come
        # between two batches of the writer. Looked at before, so that what is written meanwhile is new the next time.
        try:
            logs = self._logs()
            if logs == self._seen:
                return
            self._db.try_catch_up_with_primary()
        except Exception:  # noqa: BLE001 — rocksdict raises bare Exception
            self._db.close()
            self._open()
            logs = {}
        self._seen = logs

    def _logs(self) -> dict[str, int]:
        """Bytes of each write-ahead log: every write lengthens one or begins another; nothing is visible before."""
        with os.scandir(self._path) as files:
            return {file.name: _size(file) for file in files if file.name.endswith(".log")}

    def close(self) -> None:
        self._db.close()
        shutil.rmtree(self._scratch, ignore_errors=True)


def _size(file: os.DirEntry[str]) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # the primary is done with it
        return -1
