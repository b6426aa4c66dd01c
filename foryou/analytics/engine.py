"""What the rest of this package needs of ClickHouse, whether it is embedded or a server behind a URL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

DATABASE = "foryou"


@dataclass(frozen=True, slots=True)
class Result:
    """An answer in the format asked for, and what it cost."""

    data: bytes
    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    result_rows: int = 0
    elapsed_ns: int = 0

    @property
    def text(self) -> str:
        """The answer as text."""
        return self.data.decode("utf-8")

    @property
    def summary(self) -> dict[str, str]:
        """X-ClickHouse-Summary: numbers as strings, as ClickHouse has them."""
        return {
            "read_rows": str(self.read_rows),
            "read_bytes": str(self.read_bytes),
            "written_rows": str(self.written_rows),
            "written_bytes": str(self.written_bytes),
            "total_rows_to_read": str(self.read_rows),
            "result_rows": str(self.result_rows),
            "result_bytes": str(len(self.data)),
            "elapsed_ns": str(self.elapsed_ns),
        }


class Engine(Protocol):
    """A ClickHouse. Every call has a session of its own: nothing that one call sets is seen by the next.

    `settings` are ClickHouse's; `params` fill `{name:Type}`, written as in its HTTP interface. Raises QueryError.
    """

    def query(
        self,
        sql: str,
        *,
        format: str = "TabSeparated",
        params: Mapping[str, str] | None = None,
        settings: Mapping[str, str] | None = None,
        database: str | None = DATABASE,
    ) -> Result:
        """Runs one statement that carries no data; a FORMAT in it counts more than `format`."""
        ...

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
        """Runs `head` ("INSERT INTO t (a, b)"), with `data` in `format`."""
        ...

    def close(self) -> None: ...


def literal(value: str) -> str:
    """A text as a string literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
