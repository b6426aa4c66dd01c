"""ClickHouse inside this process: chDB. One process owns a path; here every call gets a session of its own.

A session costs 0.2 ms and keeps settings, `USE` and temporary tables apart; sessions run side by side, with the
interpreter's lock released.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from chdb.session import Session

from foryou.analytics.engine import DATABASE, Result, literal
from foryou.analytics.errors import QueryError

MEMORY_BYTES = 1_600_000_000  # of the whole engine; a query over it fails, the process lives on
_CONFIG = """<clickhouse>
  <max_server_memory_usage>{memory}</max_server_memory_usage>
  <timezone>UTC</timezone>
  <mark_cache_size>134217728</mark_cache_size>
  <uncompressed_cache_size>0</uncompressed_cache_size>
  <background_pool_size>2</background_pool_size>
</clickhouse>
"""
# An overlay of the file system lies under chDB's default database: `SELECT * FROM default.`/etc/passwd``.
_PLAIN_DEFAULT = ("DROP DATABASE IF EXISTS default", "CREATE DATABASE default ENGINE = Memory")


class Embedded:
    """An Engine in this process, its data under `folder`. Raises QueryError when another process has it open."""

    def __init__(self, folder: Path, *, memory_bytes: int = MEMORY_BYTES) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "engine.xml"
        config.write_text(_CONFIG.format(memory=memory_bytes), "utf-8")
        self._path = str(folder / "data")
        self._open = threading.Semaphore(64)
        try:
            self._root = Session(f"{self._path}?config-file={config}")
            for sql in (*_PLAIN_DEFAULT, f"CREATE DATABASE IF NOT EXISTS {DATABASE}"):
                self._root.query(sql)
        except RuntimeError as error:
            raise QueryError.parse(str(error)) from error

    def query(
        self,
        sql: str,
        *,
        format: str = "TabSeparated",
        params: Mapping[str, str] | None = None,
        settings: Mapping[str, str] | None = None,
        database: str | None = DATABASE,
    ) -> Result:
        with self._session(settings, database) as session:
            found = session.query(sql, format, params=dict(params) if params else None)
            return Result(
                data=found.bytes(),
                read_rows=found.storage_rows_read(),
                read_bytes=found.storage_bytes_read(),
                written_rows=found.rows_written(),
                written_bytes=found.bytes_written(),
                result_rows=found.rows_read(),
                elapsed_ns=int(found.elapsed() * 1e9),
            )

    def insert(
        self,
        head: str,
        data: bytes,
        *,
        format: str,
        params: Mapping[str, str] | None = None,
        settings: Mapping[str, str] | None = None,
        database: str | None = DATABASE,
    ) -> Result:
        with self._session({**_params(params), **(settings or {})}, database) as session:
            inserting = session.send_insert(head, format)
            try:
                if data:
                    inserting.append(data)
                done = inserting.finish()
            except BaseException:
                inserting.cancel()
                raise
            return Result(
                data=b"",
                written_rows=done.rows_written,
                written_bytes=done.bytes_written,
                elapsed_ns=int(done.elapsed * 1e9),
            )

    def close(self) -> None:
        self._root.close()

    @contextmanager
    def _session(self, settings: Mapping[str, str] | None, database: str | None) -> Iterator[Session]:
        with self._open:
            session = Session(self._path)
            try:
                if database:
                    session.query("USE " + quoted(database))
                # `readonly` comes last: after it, nothing can be set.
                for name, value in sorted((settings or {}).items(), key=lambda pair: pair[0] == "readonly"):
                    session.query(f"SET {quoted(name)} = {literal(value)}")
                yield session
            except RuntimeError as error:
                raise QueryError.parse(str(error)) from None
            finally:
                session.close()


def quoted(name: str) -> str:
    """A name as an identifier."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _params(params: Mapping[str, str] | None) -> dict[str, str]:
    return {f"param_{name}": value for name, value in (params or {}).items()}
